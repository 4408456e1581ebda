"""CSV and TSV files are read strictly."""

import csv
import gzip

import pytest

from hpsearch.data import delimited, memory
from hpsearch.data.tables import read_table
from hpsearch.errors import DataError


def cells(path):
    return read_table(path).frame.to_dict("list")


def test_every_cell_is_read_as_the_text_that_it_is(write):
    path = write("a,b\n1,NA\n1e400,null\n007,\n")
    assert cells(path) == {"a": ["1", "1e400", "007"], "b": ["NA", "null", ""]}


@pytest.mark.parametrize(("separator", "said"), [(";", "semicolons"), ("\t", "tabs")])
def test_separators_of_csv_files_are_found_and_said(write, separator, said):
    table = read_table(write(f"a{separator}b\n1{separator}x,y\n"))
    assert list(table.frame) == ["a", "b"]
    assert said in table.notes[0]


def test_expected_names_find_the_separator(write):
    path = write("a,b;c\n1,2;3\n1,2;3\n")
    assert list(read_table(path).frame) == ["a", "b;c"]
    assert list(read_table(path, expected=["a,b", "c"]).frame) == ["a,b", "c"]


def test_a_single_expected_column_may_hold_commas(write):
    assert read_table(write("a\n1,5\n2\n"), expected=["a"]).frame["a"].tolist() == ["1,5", "2"]


def test_tsv_files_have_tabs(write):
    assert cells(write("a\tb,c\n1\t2\n", "t.tsv")) == {"a": ["1"], "b,c": ["2"]}


@pytest.mark.parametrize("name", ["t.csv.gz", "T.CSV.GZ"])
def test_gzipped_files_are_read(write, name):
    assert cells(write(gzip.compress(b"a,b\n1,2\n"), name)) == {"a": ["1"], "b": ["2"]}


def test_a_damaged_gzip_file_is_refused(write):
    with pytest.raises(DataError, match="no complete gzip file"):
        read_table(write(gzip.compress(b"a,b\n1,2\n")[:-9], "t.csv.gz"))


def test_plain_text_called_gz_is_refused(write):
    with pytest.raises(DataError, match=r"remove the ending .gz"):
        read_table(write("a,b\n1,2\n", "t.csv.gz"))


def test_a_gzipped_file_called_csv_is_read(write):
    assert cells(write(gzip.compress(b"a,b\n1,2\n"))) == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize("cut", [2, 5, 12, 20])
def test_a_cut_gzip_file_called_csv_is_refused(write, cut):
    with pytest.raises(DataError, match="no complete gzip file"):
        read_table(write(gzip.compress(b"a,b\n1,2\n" * 9)[:cut]))


def test_a_damaged_deflate_stream_is_refused(write):
    raw = bytearray(gzip.compress("".join(f"{i},{i * i}\n" for i in range(500)).encode()))
    raw[30] ^= 0xFF
    with pytest.raises(DataError, match="no complete gzip file"):
        read_table(write(bytes(raw), "t.csv.gz"))


def test_a_gzip_file_of_several_parts_is_read(write):
    assert cells(write(gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n"), "t.csv.gz")) == {
        "a": ["1", "3"],
        "b": ["2", "4"],
    }


def test_text_beyond_memory_is_refused_before_it_is_unpacked(write, monkeypatch):
    path = write(gzip.compress(b"a,b\n" + b"1,2\n" * 200_000), "t.csv.gz")
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(delimited, "free_bytes", lambda: 1_000_000)
    with pytest.raises(DataError, match="takes 1 MB or more, and 1 MB are free"):
        read_table(path)
    monkeypatch.setattr(memory, "free_bytes", lambda: 1_000_000)
    with pytest.raises(DataError, match="takes 2 MB or more, and 1 MB are free"):
        read_table(write(b"a,b\n" + b"1,2\n" * 50_000))


def test_cells_may_be_long(write):
    text = "word " * 40_000
    assert cells(write(f"a,b\n1,{text}\n"))["b"] == [text]


def test_the_limit_of_pythons_csv_is_left_as_it_was(write):
    before = csv.field_size_limit()
    read_table(write("a,b\n1,2\n"))
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_utf_8_and_utf_16_are_read(write, encoding):
    text = "größe,b\n1,é\n"
    raw = (b"\xff\xfe" if encoding == "utf-16-le" else b"") + text.encode(encoding)
    assert cells(write(raw)) == {"größe": ["1"], "b": ["é"]}


def test_a_byte_order_mark_that_comes_twice_is_no_name(write):
    assert cells(write(b"\xef\xbb\xbf" * 2 + b"a,b\n1,2\n")) == {"a": ["1"], "b": ["2"]}


def test_other_encodings_are_read_as_windows_1252_and_said(write):
    table = read_table(write("größe,b\n1,€\n".encode("cp1252")))
    assert table.frame.to_dict("list") == {"größe": ["1"], "b": ["€"]}
    assert "Windows-1252" in table.notes[0]


def test_bytes_that_windows_1252_lacks_are_read_as_latin_1(write):
    assert "Latin-1" in read_table(write(b"a,b\n1,\x81\n")).notes[0]


def test_a_torn_utf_16_file_is_refused(write):
    with pytest.raises(DataError, match="utf-16"):
        read_table(write("a,b\n1,2\n".encode("utf-16")[:-1]))


def test_nul_bytes_are_refused_with_their_line(write):
    with pytest.raises(DataError, match="NUL byte on line 2"):
        read_table(write(b"a,b\n1,\x002\n"))


@pytest.mark.parametrize("content", ["", "\n\n", "   "])
def test_an_empty_file_is_refused(write, content):
    with pytest.raises(DataError, match="is empty"):
        read_table(write(content))


@pytest.mark.parametrize("content", ["a,b", "a,b\n", "a,b\n\n"])
def test_a_header_without_rows_is_refused(write, content):
    with pytest.raises(DataError, match="needs rows below its header"):
        read_table(write(content))


def test_column_names_that_repeat_are_refused(write):
    with pytest.raises(DataError, match="'a' names columns 1 and 3"):
        read_table(write("a,b,a\n1,2,3\n"))


def test_names_that_differ_by_spaces_only_are_refused(write):
    with pytest.raises(DataError, match="'a' names columns 1 and 2"):
        read_table(write("a,a \n1,2\n"))


def test_a_column_without_a_name_is_refused(write):
    with pytest.raises(DataError, match="column 1 has none"):
        read_table(write(",b\n1,2\n"))


def test_a_first_line_of_numbers_is_refused(write):
    with pytest.raises(DataError, match=r"holds numbers, such as '5\.1'"):
        read_table(write("5.1,3.5,setosa\n4.9,3.0,setosa\n"))


def test_rows_longer_or_shorter_than_the_header_are_refused_with_their_lines(write):
    with pytest.raises(DataError, match="header has 2, line 3 has 3, line 5 has 1"):
        read_table(write("a,b\n1,2\n1,2,3\n1,2\n1\n"))


def test_a_file_whose_every_row_has_one_cell_too_many_is_refused(write):
    with pytest.raises(DataError, match="line 2 has 3"):
        read_table(write("a,b\n1,2,3\n4,5,6\n"))


def test_many_wrong_rows_are_counted(write):
    with pytest.raises(DataError, match="and 3 more lines differ"):
        read_table(write("a,b\n1,2\n" + "1\n" * 8))


def test_quoted_cells_may_hold_separators_quotes_and_line_breaks(write):
    path = write('a,b\n"x,\n""y""",2\nz,3\n')
    assert cells(path) == {"a": ['x,\n"y"', "z"], "b": ["2", "3"]}


def test_line_numbers_count_line_breaks_in_quoted_cells(write):
    with pytest.raises(DataError, match="line 4 has 1"):
        read_table(write('a,b\n"x\ny",2\nz\n'))


def test_lines_of_rows_are_known_after_line_breaks_and_blank_lines(write):
    table = read_table(write('a,b\n\n"x\ny",2\n\nz,3\n'))
    assert table.places.lines.tolist() == [3, 6]


def test_blank_lines_between_rows_are_said(write):
    assert read_table(write("a,b\n1,2\n\n3,4\n\n")).notes == ("1 blank line was left out.",)


def test_a_quote_that_is_never_closed_is_refused(write):
    with pytest.raises(DataError, match="Check its quotes"):
        read_table(write('a,b\n"1,2\n3,4\n'))


def test_spaces_before_quotes_are_left_out(write):
    table = read_table(write('a, "b"\nx, "1, 2"\n'))
    assert table.frame.to_dict("list") == {"a": ["x"], "b": ["1, 2"]}
    assert "Spaces after separators" in table.notes[0]


def test_decimal_commas_stay_as_they_are(write):
    table = read_table(write("a;b;c\n1,5;x,5;2\n2;y;?\n,25;z;3\n"))
    assert table.frame["a"].tolist() == ["1,5", "2", ",25"]
    assert table.semicolons


def test_lines_may_end_as_on_windows_or_old_macs(write):
    assert cells(write("a,b\r\n1,2\r\n")) == {"a": ["1"], "b": ["2"]}
    assert cells(write("a,b\r1,2\r")) == {"a": ["1"], "b": ["2"]}


def test_more_rows_than_one_chunk_keep_their_order(write):
    rows = [str(i) for i in range(20_001)]
    table = read_table(write("a,b\n" + "".join(f"{row},x\n" for row in rows)))
    assert table.frame["a"].tolist() == rows
