//! `string.pack` and `string.unpack` against native Lua of 64 bits, whose records they read and write.

use rstest::rstest;

use crate::common;

/// What `code` gives in native Lua and in the guest.
fn both(code: &str) -> (String, String) {
    let native = mlua::Lua::new();
    let expected: String = native.load(code).eval().unwrap();
    let got: String = common::pool().branch().unwrap().eval(code).unwrap();
    (expected, got)
}

/// All results of a call in a readable form, or its error's message.
const SHOWN: &str = "
    local function shown(...)
        local all = table.pack(pcall(...))
        for i = 1, all.n do
            local value = all[i]
            if type(value) == 'string' then
                value = value:gsub('[^%g ]', function(c) return ('\\\\%03d'):format(c:byte()) end)
            elseif math.type(value) == 'float' then
                value = ('%a'):format(value)
            end
            all[i] = tostring(value)
        end
        return table.concat(all, ', ')
    end
    ";

#[rstest]
fn sizes(
    #[values("<", ">", "=", "<!", ">!4", "<!1", "=!16")] order: &str,
    #[values(
        "b", "B", "h", "H", "i", "I", "l", "L", "j", "J", "T", "f", "d", "n", "i3", "I7", "i16",
        "s", "s1", "s2", "s4", "s8", "z", "x", "Xl", "Xj", "Xd", "XT", "bXi8", "bl", "bT", "bj",
        "bs", "hd"
    )]
    options: &str,
) {
    let code = format!(
        "{SHOWN}
        local format = '{order}{options}'
        local lines = {{format, shown(string.packsize, format)}}
        for _, args in ipairs({{{{1, 2}}, {{-1, -2}}, {{'abc', 'de'}}, {{1, 'abc'}}, {{127, 1.5}}, {{}}}}) do
            lines[#lines + 1] = shown(string.pack, format, table.unpack(args))
            local ok, packed = pcall(string.pack, format, table.unpack(args))
            if ok then lines[#lines + 1] = shown(string.unpack, format, packed) end
        end
        return table.concat(lines, '\\n')"
    );
    let (expected, got) = both(&code);
    assert_eq!(got, expected);
}

#[rstest]
#[case::length_beyond_the_text(r"string.unpack, '<s', '\5\0\0\0\0\0\0\0abc'")]
#[case::length_of_more_than_32_bits(r"string.unpack, '<s', '\3\0\0\0\1\0\0\0abc'")]
#[case::length_of_64_bits(r"string.unpack, '<s', '\255\255\255\255\255\255\255\255abc'")]
#[case::length_that_is_cut_off(r"string.unpack, '<s', '\3\0\0\0abc'")]
#[case::length_of_16_bytes(r"string.unpack, '<s16', ('\3' .. ('\0'):rep(15)) .. 'abc'")]
#[case::length_of_16_bytes_that_is_too_large(
    r"string.unpack, '<s16', ('\3' .. ('\0'):rep(14) .. '\1') .. 'abc'"
)]
#[case::largest_integers(
    "string.unpack, '<jJlLT', string.pack('<jJlLT', math.mininteger, -1, math.maxinteger, -1, 5)"
)]
#[case::long_texts("string.pack, 's1', ('x'):rep(256)")]
#[case::packed_size_of_texts("string.packsize, 's'")]
#[case::size_that_is_too_large("string.packsize, 'c2147483647'")]
#[case::sizes_that_are_too_large("string.packsize, 'c2147483647c10'")]
fn records(#[case] call: &str) {
    let (expected, got) = both(&format!("{SHOWN} return shown({call})"));
    assert_eq!(got, expected);
}
