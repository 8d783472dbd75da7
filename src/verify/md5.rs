//! What is the MD5 of these bytes?
//!
//! A provider that signs with a plain MD5 over key and text is not to be trusted further than its plain SHA-256: whoever
//! sees one request can go on where the text ends. It is here because the crypto library has none, after RFC 1321.
//!
//! Promises: the same in one piece or in many; no input panics; the time depends on the length alone.
//!
//! Must not know: what is hashed.

/// How many bytes it has.
pub(super) const LENGTH: usize = 16;

const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
/// How far each of four steps turns, by round.
const TURNS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
/// The whole part of 2^32 times the sine of the step, counted from 1.
const SINES: [u32; 64] = [
    0xd76a_a478,
    0xe8c7_b756,
    0x2420_70db,
    0xc1bd_ceee,
    0xf57c_0faf,
    0x4787_c62a,
    0xa830_4613,
    0xfd46_9501,
    0x6980_98d8,
    0x8b44_f7af,
    0xffff_5bb1,
    0x895c_d7be,
    0x6b90_1122,
    0xfd98_7193,
    0xa679_438e,
    0x49b4_0821,
    0xf61e_2562,
    0xc040_b340,
    0x265e_5a51,
    0xe9b6_c7aa,
    0xd62f_105d,
    0x0244_1453,
    0xd8a1_e681,
    0xe7d3_fbc8,
    0x21e1_cde6,
    0xc337_07d6,
    0xf4d5_0d87,
    0x455a_14ed,
    0xa9e3_e905,
    0xfcef_a3f8,
    0x676f_02d9,
    0x8d2a_4c8a,
    0xfffa_3942,
    0x8771_f681,
    0x6d9d_6122,
    0xfde5_380c,
    0xa4be_ea44,
    0x4bde_cfa9,
    0xf6bb_4b60,
    0xbebf_bc70,
    0x289b_7ec6,
    0xeaa1_27fa,
    0xd4ef_3085,
    0x0488_1d05,
    0xd9d4_d039,
    0xe6db_99e5,
    0x1fa2_7cf8,
    0xc4ac_5665,
    0xf429_2244,
    0x432a_ff97,
    0xab94_23a7,
    0xfc93_a039,
    0x655b_59c3,
    0x8f0c_cc92,
    0xffef_f47d,
    0x8584_5dd1,
    0x6fa8_7e4f,
    0xfe2c_e6e0,
    0xa301_4314,
    0x4e08_11a1,
    0xf753_7e82,
    0xbd3a_f235,
    0x2ad7_d2bb,
    0xeb86_d391,
];

/// An MD5 under way.
pub(super) struct Md5 {
    state: [u32; 4],
    /// What does not fill a block yet.
    rest: [u8; 64],
    length: u64,
}

impl Md5 {
    /// Nothing hashed yet.
    pub(super) const fn new() -> Self {
        Self { state: START, rest: [0; 64], length: 0 }
    }

    /// Hashes these bytes, too.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let at = usize::try_from(self.length % 64).unwrap_or(0);
            self.rest[at] = *byte;
            self.length = self.length.wrapping_add(1);
            if at == 63 {
                self.block();
            }
        }
    }

    /// The hash of everything so far.
    pub(super) fn finish(mut self) -> [u8; LENGTH] {
        let bits = self.length.wrapping_mul(8).to_le_bytes();
        self.update(&[0x80]);
        while self.length % 64 != 56 {
            self.update(&[0]);
        }
        self.update(&bits);
        let mut out = [0; LENGTH];
        for (to, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *to = word.to_le_bytes();
        }
        out
    }

    fn block(&mut self) {
        let mut words = [0; 16];
        for (word, bytes) in words.iter_mut().zip(self.rest.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let [mut a, mut b, mut c, mut d] = self.state;
        for (step, sine) in SINES.iter().enumerate() {
            let (mixed, word) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((d & b) | (!d & c), 5 * step + 1),
                2 => (b ^ c ^ d, 3 * step + 5),
                _ => (c ^ (b | !d), 7 * step),
            };
            let sum = a.wrapping_add(mixed).wrapping_add(*sine).wrapping_add(words[word % 16]);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(TURNS[step / 16][step % 4]));
        }
        for (state, word) in self.state.iter_mut().zip([a, b, c, d]) {
            *state = state.wrapping_add(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::decode::to_hex;

    fn md5(pieces: &[&[u8]]) -> String {
        let mut running = Md5::new();
        pieces.iter().for_each(|piece| running.update(piece));
        to_hex(&running.finish())
    }

    #[test]
    fn the_suite_of_rfc_1321_holds_in_one_piece_and_in_many() {
        let digits = "1234567890".repeat(8);
        let cases = [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
            (&digits, "57edf4a22be3c955ac49da2e2107b67a"),
        ];
        for (text, expected) in cases {
            assert_eq!(md5(&[text.as_bytes()]), expected, "{text}");
            for at in 0..text.len() {
                let (head, tail) = text.as_bytes().split_at(at);
                assert_eq!(md5(&[head, b"", tail]), expected, "{text} cut at {at}");
            }
        }
    }

    #[test]
    fn every_length_around_a_block_is_padded_right() {
        // The MD5 of the MD5s, in hex, of 0 to 130 bytes `x`; from Python's hashlib.
        let all: String = (0..=130).map(|length| md5(&[&vec![b'x'; length]])).collect();
        assert_eq!(md5(&[all.as_bytes()]), "861e4a9e76c88ae6267e22fd76384596");
    }
}
