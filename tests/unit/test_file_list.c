/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of files: comma-separated values against RFC 4180, what folders and rows become, every refusal,
 * and what holds for each split that is made by seed. */
#include "cmocka_all.h"

#include "context_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "data/csv.h"
#include "data/file_list.h"

static char *place(const fixture *f, const char *name, char path[512]) {
    snprintf(path, 512, "%s/%s", f->folder.path, name);
    return path;
}

static char *write_text(const fixture *f, const char *name, const char *text, char path[512]) {
    assert_int_equal(tub__parent_create(&f->ctx->allocator, place(f, name, path), NULL), TUB_OK);
    assert_int_equal(tub__file_write(&f->ctx->allocator, path, text, strlen(text), NULL), TUB_OK);
    return path;
}

static void test_csv(void **state) {
    fixture *f = *state;
    char path[512];
    tub__csv csv;
    write_text(f, "a.csv",
               "\xef\xbb\xbf"
               "path,\"la,bel\",x\r\n\r\n"
               "\"a \"\"b\"\".mp4\",\"two\nlines\",\n"
               "c,,\"\"",
               path);
    assert_int_equal(tub__csv_read(&f->ctx->allocator, path, &csv, NULL), TUB_OK);
    static const char *const wanted[3][3] = {
        {"path", "la,bel", "x"}, {"a \"b\".mp4", "two\nlines", ""}, {"c", "", ""}};
    static const size_t lines[3] = {1, 3, 5};
    assert_int_equal(csv.rows, 3);
    assert_int_equal(csv.columns, 3);
    for (size_t r = 0; r < 3; r++) {
        assert_int_equal(csv.line[r], lines[r]);
        for (size_t c = 0; c < 3; c++) {
            assert_string_equal(tub__csv_field(&csv, r, c), wanted[r][c]);
        }
    }
    tub__csv_free(&csv);
    tub__csv_free(&csv);
}

/* A .csv that is refused, and a piece of the sentence. */
static void check_refused(const fixture *f, const char *text, const char *piece) {
    char path[512];
    tub__file_list list;
    tub_error err;
    write_text(f, "bad.csv", text, path);
    assert_int_not_equal(tub__file_list_read(f->ctx, path, 0, &list, &err), TUB_OK);
    if (strstr(err.message, piece) == NULL) {
        fail_msg("'%s' is not in: %s", piece, err.message);
    }
}

static void test_refused_rows(void **state) {
    fixture *f = *state;
    static const char *const cases[][2] = {
        {"", "there is nothing in it"},
        {"path,label\n", "no row stands below"},
        {"a.mp4,cat\nb.mp4,dog\n", "there is no column path: its first line must name the columns"},
        {"path,class\na,b\n", "there is no column label: its first line must name the columns"},
        {"path,lable\na,b\n", "there is no column label, but one that is called 'lable'"},
        {"path,Label\na,b\n", "there is no column label, but one that is called 'Label'"},
        {"path;label\na;b\n", "there is no column path: it has semicolons"},
        {"path\tlabel\na\tb\n", "there is no column path: it has tabs"},
        {"path,label\ra,b\r", "there is no column label: its lines end with CR alone"},
        {"path,label,start\na,x,0.1234567891\n",
         "line 2: start '0.1234567891' is no number of seconds with at most nine decimals"},
        {"path,label\na,x\nb,y\n./a,y\n",
         "lines 2 and 4 are the same part of a, but of the classes 'x' and 'y'"},
        {"path,label,start,end\na,x,1,2\na,y,1,2.0\n", "lines 2 and 3 are the same part of a"},
        {"path,path,label\na,b,c\n", "two columns are called path"},
        {"path,label\na.mp4\n", "line 2 has 1 fields, the first one has 2"},
        {"path,label\n\"a.mp4,cat\n", "line 2: a quote begins that does not end"},
        {"path,label\n\"a\"b,cat\n", "behind a closing quote"},
        {"path,label\n,cat\n", "line 2: path '' is empty"},
        {"path,label\na,\n", "line 2: label '' is empty"},
        {"path,label,start\na,x,soon\n", "line 2: start 'soon' is no number of seconds"},
        {"path,label,start\na,x,-1\n", "line 2: start '-1' is no number of seconds"},
        {"path,label,start,end\na,x,2,2.000\n", "line 2: end '2.000' is not behind the start"},
        {"path,label,split\na,x,dev\n", "line 2: split 'dev' is none"},
        {"path,label,split\na,x,train\nb,x,Valid\n", "line 3: split 'Valid' is none"},
        {"path,label,split\na,x,train\nb,x,\n", "line 3 has no split, others have"},
        {"path,label,split\na,x,train\nb,y,test\n", "line 3: no row of train has the label 'y'"},
        {"path,label,split,group\na,x,train,p\nb,x,test,q\nc,x,test,p\n",
         "lines 2 and 4 are both of group p, but in the splits train and test"},
        {"path,label,start,split\na,x,0,train\n./a,x,5,test\n",
         "lines 2 and 3 are both of the file a, but in the splits train and test"},
        {"path,label,group\na,x,p\nb,x,p\na,y,q\n",
         "lines 2 and 4 are parts of one file, a, but of the groups 'p' and 'q'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_refused(f, cases[i][0], cases[i][1]);
    }
}

static void test_rows(void **state) {
    fixture *f = *state;
    char path[512];
    tub__file_list list;
    write_text(f, "set.csv",
               "label,other,path,end,start,split,group\n"
               "10,,.//clips/./a.mp4,2.5,,train,p\n"
               "9,,/b.mp4,,0.000000001,train,\n"
               "10,,clips/a.mp4,,2.5,train,p\n",
               path);
    assert_int_equal(tub__file_list_read(f->ctx, path, 0, &list, NULL), TUB_OK);
    assert_int_equal(list.count, 3);
    assert_true(list.has_splits && list.has_groups);
    assert_string_equal(list.classes[0], "9"); /* numbers, not texts */
    assert_string_equal(list.classes[1], "10");
    const tub__file_item *i = list.items;
    assert_string_equal(i[0].name, "clips/a.mp4");
    assert_int_equal(strncmp(i[0].path, f->folder.path, strlen(f->folder.path)), 0);
    assert_string_equal(i[1].path, "/b.mp4");
    assert_int_equal(i[0].end, 2500000000);
    assert_int_equal(i[1].start, 1);
    assert_int_equal(i[1].end, -1);
    assert_int_equal(i[0].label, 1);
    assert_int_equal(i[1].label, 0);
    assert_int_equal(i[0].group_number, i[2].group_number);
    assert_int_not_equal(i[0].group_number, i[1].group_number);
    tub__file_list_free(&list);
}

/* Blanks around fields are no part of them, but for a file's name. */
static void test_blanks(void **state) {
    fixture *f = *state;
    char path[512];
    tub__file_list list;
    write_text(f, "set.csv",
               "path,\tlabel , start,split\r\n"
               " a.mp4, cat, 1.5,train \r\n"
               "b.mp4,cat\t,2,\"train \"\r\n",
               path);
    assert_int_equal(tub__file_list_read(f->ctx, path, 0, &list, NULL), TUB_OK);
    assert_int_equal(list.class_count, 1);
    assert_string_equal(list.classes[0], "cat");
    assert_string_equal(list.items[0].name, " a.mp4");
    assert_int_equal(list.items[0].start, 1500000000);
    assert_int_equal(list.items[1].split, TUB_TRAIN);
    tub__file_list_free(&list);
    check_refused(f, "path,label\na, \n", "line 2: label '' is empty");
}

/* Around quotes they are none either, of any field. */
static void test_blanks_around_quotes(void **state) {
    fixture *f = *state;
    char path[512];
    tub__file_list list;
    write_text(f, "set.csv",
               "path, \"label\" ,split\n"
               "v/a1.mp4, \"cat\",train\n"
               " \" b.mp4\"\t,\t\"cat, or dog\" , train\n",
               path);
    assert_int_equal(tub__file_list_read(f->ctx, path, 0, &list, NULL), TUB_OK);
    assert_int_equal(list.class_count, 2);
    assert_string_equal(list.classes[0], "cat");
    assert_string_equal(list.classes[1], "cat, or dog");
    assert_string_equal(list.items[1].name, " b.mp4");
    tub__file_list_free(&list);
    check_refused(f, "path,label\n\"a\" b,cat\n", "behind a closing quote");
}

/* Rows that say a part again count again, and are counted. */
static void test_repeated(void **state) {
    fixture *f = *state;
    char path[512];
    tub__file_list list;
    write_text(f, "set.csv",
               "path,label,start,end\na,x,1,2\na,x,2,3\nb,y,,\n.//a,x,1.0,2\nb,y,0,\n", path);
    assert_int_equal(tub__file_list_read(f->ctx, path, 0, &list, NULL), TUB_OK);
    assert_int_equal(list.count, 5);
    assert_int_equal(list.repeated, 2);
    assert_int_equal(list.repeated_line[0], 2);
    assert_int_equal(list.repeated_line[1], 5);
    assert_int_equal(list.items[0].file, 0);
    assert_int_equal(list.items[2].file, 1);
    assert_int_equal(list.items[3].file, 0);
    tub__file_list_free(&list);
}

/* A misspelt column is told; of others only that they are there. */
static void test_passed_over(void **state) {
    fixture *f = *state;
    char path[512];
    tub__file_list list;
    write_text(f, "set.csv", "path,label,spilt,note\na,x,train,\n", path);
    assert_int_equal(tub__file_list_read(f->ctx, path, 0, &list, NULL), TUB_OK);
    assert_true(list.misspelt);
    assert_string_equal(list.passed_over, "columns that are passed over: spilt, note; is 'spilt' "
                                          "meant for split?");
    tub__file_list_free(&list);
    write_text(f, "set.csv", "path,label,note\na,x,\n", path);
    assert_int_equal(tub__file_list_read(f->ctx, path, 0, &list, NULL), TUB_OK);
    assert_false(list.misspelt);
    assert_string_equal(list.passed_over, "columns that are passed over: note");
    tub__file_list_free(&list);
}

/* Capitals in the ending are nothing else. */
static void test_ending(void **state) {
    (void)state;
    assert_true(tub__is_file_list("set.CSV") && tub__is_file_list("set.List"));
    assert_false(tub__is_file_list("set.tsv"));
}

static void make_files(const fixture *f, const char *folder, int count) {
    char name[128], path[512];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s/%03d.mp4", folder, i);
        write_text(f, name, "x", path);
    }
}

static void test_folders(void **state) {
    fixture *f = *state;
    char path[512];
    tub__file_list list;
    tub_error err;
    make_files(f, "set/train/dog", 3);
    make_files(f, "set/train/cat", 2);
    make_files(f, "set/test/dog", 1);
    write_text(f, "set/train/dog/.hidden", "x", path);
    write_text(f, "set/train/dog/readme.TXT", "x", path);
    write_text(f, "set/train/notes", "x", path);
    assert_int_equal(tub__file_list_read(f->ctx, place(f, "set", path), 0, &list, NULL), TUB_OK);
    assert_int_equal(list.count, 6);
    assert_int_equal(list.class_count, 2);
    assert_string_equal(list.items[0].name, "train/cat/000.mp4");
    assert_string_equal(list.items[5].name, "test/dog/000.mp4");
    assert_int_equal(list.items[5].split, TUB_TEST);
    assert_int_equal(list.items[5].label, 1);
    assert_int_equal(list.ignored, 1);
    assert_string_equal(list.first_ignored, "train/notes");
    assert_null(list.nearly_split);
    tub__file_list_free(&list);

    make_files(f, "set/more/dog", 1); /* beside the splits; what never is a clip does not count */
    write_text(f, "set/stray.mp4", "x", path);
    write_text(f, "set/readme.md", "x", path);
    assert_int_equal(tub__file_list_read(f->ctx, place(f, "set", path), 0, &list, NULL), TUB_OK);
    assert_int_equal(list.ignored, 3);
    tub__file_list_free(&list);

    make_files(f, "capitals/Train/dog", 1);
    make_files(f, "capitals/test", 1);
    assert_int_equal(tub__file_list_read(f->ctx, place(f, "capitals", path), 0, &list, NULL),
                     TUB_OK);
    assert_string_equal(list.nearly_split, "Train");
    tub__file_list_free(&list);
    place(f, "set", path);

    make_files(f, "set/test/cow", 1);
    assert_int_equal(tub__file_list_read(f->ctx, path, 0, &list, &err), TUB_E_FORMAT);
    assert_non_null(strstr(err.message, "there is no train/cow"));
    assert_int_equal(mkdir(place(f, "empty", path), 0777), 0);
    assert_int_equal(tub__file_list_read(f->ctx, path, 0, &list, &err), TUB_E_NOT_FOUND);
    assert_non_null(strstr(err.message, "has no class folders"));
    write_text(f, "empty/config.json", "{}", path);
    place(f, "empty", path);
    assert_int_equal(tub__file_list_read(f->ctx, path, 0, &list, &err), TUB_E_FORMAT);
    assert_non_null(strstr(err.message, "is a model folder"));
}

/* Other programs' names of val, in folders and in rows; two of them at once are a mistake. */
static void test_names_of_val(void **state) {
    static const char *const names[] = {"val", "valid", "validation"};
    fixture *f = *state;
    char path[512], folder[64], text[128];
    tub__file_list list;
    tub_error err;
    for (size_t i = 0; i < 3; i++) {
        snprintf(folder, sizeof folder, "set%zu/train/dog", i);
        make_files(f, folder, 2);
        snprintf(folder, sizeof folder, "set%zu/%s/dog", i, names[i]);
        make_files(f, folder, 1);
        snprintf(folder, sizeof folder, "set%zu", i);
        place(f, folder, path);
        assert_int_equal(tub__file_list_read(f->ctx, path, 0, &list, NULL), TUB_OK);
        assert_int_equal(list.count, 3);
        assert_int_equal(list.items[2].split, TUB_VAL);
        tub__file_list_free(&list);

        snprintf(text, sizeof text, "path,label,split\na,x,train\nb,x,%s\n", names[i]);
        write_text(f, "names.csv", text, path);
        assert_int_equal(tub__file_list_read(f->ctx, path, 0, &list, NULL), TUB_OK);
        assert_int_equal(list.items[1].split, TUB_VAL);
        tub__file_list_free(&list);
    }
    make_files(f, "set1/validation/dog", 1);
    assert_int_equal(tub__file_list_read(f->ctx, place(f, "set1", path), 0, &list, &err),
                     TUB_E_FORMAT);
    assert_non_null(strstr(err.message, "set1: valid and validation are both there"));
}

/* Data that are only evaluated have no train: every class may stand there. Folders of other names beside that
 * of a split are classes, and so is that one. */
static void test_without_train(void **state) {
    fixture *f = *state;
    char path[512];
    tub__file_list list;
    write_text(f, "test.csv", "path,label,split\na,x,test\nb,y,test\nc,x,val\n", path);
    assert_int_equal(tub__file_list_read(f->ctx, path, 0, &list, NULL), TUB_OK);
    assert_true(list.has_splits && list.class_count == 2);
    assert_int_equal(list.items[1].split, TUB_TEST);
    assert_int_equal(list.items[2].split, TUB_VAL);
    tub__file_list_free(&list);

    make_files(f, "set/test/dog", 2);
    make_files(f, "set/validation/cat", 1);
    write_text(f, "set/readme.md", "x", path);
    place(f, "set", path);
    assert_int_equal(tub__file_list_read(f->ctx, path, 0, &list, NULL), TUB_OK);
    assert_true(list.has_splits && list.count == 3 && list.class_count == 2);
    assert_string_equal(list.items[0].name, "validation/cat/000.mp4");
    assert_int_equal(list.items[2].split, TUB_TEST);
    tub__file_list_free(&list);

    make_files(f, "set/exam/cat", 1);
    assert_int_equal(tub__file_list_read(f->ctx, place(f, "set", path), 0, &list, NULL), TUB_OK);
    assert_true(!list.has_splits && list.class_count == 3);
    assert_string_equal(list.classes[0], "exam");
    tub__file_list_free(&list);
}

/* Samples of a class in a split. */
static int count_in(const tub__file_list *list, int label, int split) {
    int n = 0;
    for (size_t i = 0; i < list->count; i++) {
        n += list->items[i].label == label && list->items[i].split == split;
    }
    return n;
}

static void test_stratified(void **state) {
    fixture *f = *state;
    char path[512];
    tub__file_list one, again, other;
    make_files(f, "s/a", 40);
    make_files(f, "s/b", 20);
    make_files(f, "s/c", 3);
    place(f, "s", path);
    assert_int_equal(tub__file_list_read(f->ctx, path, 7, &one, NULL), TUB_OK);
    assert_int_equal(tub__file_list_read(f->ctx, path, 7, &again, NULL), TUB_OK);
    assert_int_equal(tub__file_list_read(f->ctx, path, 8, &other, NULL), TUB_OK);
    static const int wanted[3][3] = {{28, 6, 6}, {14, 3, 3}, {2, 1, 0}};
    int moved = 0;
    for (int k = 0; k < 3; k++) {
        for (int s = 0; s < TUB_SPLITS; s++) {
            assert_int_equal(count_in(&one, k, s), wanted[k][s]);
            assert_int_equal(count_in(&other, k, s), wanted[k][s]);
        }
    }
    for (size_t i = 0; i < one.count; i++) {
        assert_int_equal(one.items[i].split, again.items[i].split);
        moved += one.items[i].split != other.items[i].split;
    }
    assert_true(moved > 5);
    tub__file_list_free(&one);
    tub__file_list_free(&again);
    tub__file_list_free(&other);
}

/* The split is made of names: where the folder lies, and what the files hold, changes nothing. */
static void test_split_of_names(void **state) {
    fixture *f = *state;
    char path[512];
    tub__file_list here, there;
    make_files(f, "here/a", 30);
    make_files(f, "far/away/a", 30);
    write_text(f, "far/away/a/003.mp4", "something else", path);
    assert_int_equal(tub__file_list_read(f->ctx, place(f, "here", path), 3, &here, NULL), TUB_OK);
    strcat(place(f, "far/away", path), "/");
    assert_int_equal(tub__file_list_read(f->ctx, path, 3, &there, NULL), TUB_OK);
    for (size_t i = 0; i < here.count; i++) {
        assert_string_equal(here.items[i].name, there.items[i].name);
        assert_int_equal(here.items[i].split, there.items[i].split);
    }
    tub__file_list_free(&here);
    tub__file_list_free(&there);
}

/* Groups of very different sizes, some with two classes: none crosses splits, and of each class each split
 * gets its share within the largest group. */
static void test_groups(void **state) {
    fixture *f = *state;
    char path[512], text[1 << 16];
    for (uint64_t seed = 0; seed < 20; seed++) {
        size_t used = (size_t)sprintf(text, "path,label,group\n");
        int n = 0;
        for (int g = 0; g < 60; g++) {
            for (int i = 0; i < 1 + g % 5; i++, n++) {
                used +=
                    (size_t)sprintf(text + used, "f%d,%d,g%d\n", n, g % 9 == 0 ? i % 2 : g % 2, g);
            }
        }
        tub__file_list list;
        int of_group[60];
        write_text(f, "g.csv", text, path);
        assert_int_equal(tub__file_list_read(f->ctx, path, seed, &list, NULL), TUB_OK);
        assert_int_equal(list.groups, 60);
        memset(of_group, -1, sizeof of_group);
        for (size_t i = 0; i < list.count; i++) {
            int *split = &of_group[list.items[i].group_number];
            assert_true(*split == -1 || *split == list.items[i].split);
            *split = list.items[i].split;
        }
        static const double share[TUB_SPLITS] = {0.7, 0.15, 0.15};
        for (int k = 0; k < 2; k++) {
            const double all = count_in(&list, k, TUB_TRAIN) + count_in(&list, k, TUB_VAL) +
                               count_in(&list, k, TUB_TEST);
            for (int s = 0; s < TUB_SPLITS; s++) {
                const double there = count_in(&list, k, s);
                assert_true(there > share[s] * all - 10 && there < share[s] * all + 10);
            }
        }
        assert_int_equal(list.count, n);
        tub__file_list_free(&list);
    }
}

/* Parts of one file are one group without a column. */
static void test_parts(void **state) {
    fixture *f = *state;
    char path[512], text[4096];
    size_t used = (size_t)sprintf(text, "path,label,start\n");
    for (int i = 0; i < 60; i++) {
        used += (size_t)sprintf(text + used, "f%d,%d,%d\n", i % 12, i % 12 % 2, i / 12);
    }
    tub__file_list list;
    write_text(f, "p.csv", text, path);
    assert_int_equal(tub__file_list_read(f->ctx, path, 0, &list, NULL), TUB_OK);
    assert_int_equal(list.groups, 12);
    assert_true(list.has_groups);
    for (size_t i = 12; i < list.count; i++) {
        assert_int_equal(list.items[i].split, list.items[i % 12].split);
    }
    tub__file_list_free(&list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_csv, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_blanks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_blanks_around_quotes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_repeated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_passed_over, set_up, tear_down),
        cmocka_unit_test(test_ending),
        cmocka_unit_test_setup_teardown(test_folders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_of_val, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_train, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stratified, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_split_of_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_groups, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_parts, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
