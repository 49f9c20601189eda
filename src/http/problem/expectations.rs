//! What was expected of a field, in Vietnamese. The checks say it in English, next to what they check; here their phrases
//! are put into the other language. Codes, names and figures between them stay as they are. The test client refuses an
//! answer to a Vietnamese reader in which English words are left.

/// The longer before what is part of them.
const PHRASES: &[(&str, &str)] = &[
    ("RFC 3339 with offset", "RFC 3339 có độ lệch múi giờ"),
    ("e.g.", "ví dụ"),
    ("see the API description", "xem mô tả API"),
    ("after now, at the latest", "sau lúc này, chậm nhất"),
    ("an instant to come,", "một thời điểm sắp tới,"),
    ("at the latest", "là chậm nhất"),
    ("an instant", "một thời điểm"),
    (
        "a due within ten years of the start",
        "hạn trong vòng mười năm kể từ lúc bắt đầu",
    ),
    (
        "an end that is not before the beginning",
        "lúc kết thúc không trước lúc bắt đầu",
    ),
    (
        "not before the filing and the last change",
        "không trước lúc gửi và lần thay đổi cuối",
    ),
    ("not before the filing", "không trước lúc gửi"),
    ("not before", "không trước"),
    ("not after now", "không sau lúc này"),
    ("later than", "sau"),
    (
        "start_date before end_date, at most",
        "start_date trước end_date, cách nhau nhiều nhất",
    ),
    ("days apart", "ngày"),
    (
        "bytes, as the provider writes `sub`",
        "byte, như nhà cung cấp viết `sub`",
    ),
    ("visible ASCII", "ký tự ASCII nhìn thấy được"),
    ("at least one letter or digit", "ít nhất một chữ cái hoặc chữ số"),
    ("lower-case letters and digits", "chữ thường và chữ số"),
    ("words joined by hyphens", "các từ nối bằng gạch nối"),
    ("beginning with a letter", "bắt đầu bằng chữ cái"),
    (
        "with - before it for the other way round",
        "thêm - ở trước để đảo thứ tự",
    ),
    ("a tuple of size", "một danh sách có số phần tử là"),
    ("letters and digits", "chữ cái và chữ số"),
    ("snake_case of", "snake_case gồm"),
    ("tags of", "nhãn dài"),
    ("a name of", "tên dài"),
    ("characters", "ký tự"),
    ("members", "thành phần"),
    ("of them", "mục"),
    ("words and phrases", "từ và cụm từ"),
    ("a path of this server", "một đường dẫn của máy chủ này"),
    ("a network such as", "một mạng như"),
    (
        "a number of double precision",
        "một số trong phạm vi độ chính xác kép",
    ),
    ("a number from", "một số từ"),
    ("a number", "một số"),
    ("a year from", "một năm từ"),
    ("an integer from", "một số nguyên từ"),
    ("an integer", "một số nguyên"),
    ("a string, the code of a choice", "một chuỗi, mã của một lựa chọn"),
    ("a string", "một chuỗi"),
    ("an object", "một đối tượng"),
    ("a sequence", "một danh sách"),
    ("a boolean", "true hoặc false"),
    ("fewer elements", "ít phần tử hơn"),
    ("another type", "kiểu khác"),
    ("in the years", "trong các năm"),
    ("years", "năm"),
    ("one of", "một trong"),
    ("at most", "nhiều nhất"),
    (", and ", ", và "),
    (" or ", " hoặc "),
    (" to ", " đến "),
];

pub(super) fn in_vietnamese(expected: &str) -> String {
    let put = |text: String, (english, vietnamese): &(&str, &str)| text.replace(english, vietnamese);
    PHRASES.iter().fold(expected.to_owned(), put)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_put_into_vietnamese_and_codes_stay() {
        for (english, vietnamese) in [
            ("low, normal, high or urgent", "low, normal, high hoặc urgent"),
            ("a number from 1 to 200", "một số từ 1 đến 200"),
            (
                "an instant in the years 1900 to 2199",
                "một thời điểm trong các năm 1900 đến 2199",
            ),
            (
                "not before `from`, and at most 20 years",
                "không trước `from`, và nhiều nhất 20 năm",
            ),
            ("YYYY-MM-DD", "YYYY-MM-DD"),
        ] {
            assert_eq!(in_vietnamese(english), vietnamese);
        }
    }
}
