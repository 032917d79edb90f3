package pseudonym

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestReplace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		names      string // separated by |
		text, want string
	}{
		{"Amara Okafor|Maya Lindqvist", "Amara called. Amara Okafor and Maya.", "[PERSON_1] called. [PERSON_1_2] and [PERSON_2]."},
		{"Amara Okafor|Amara", "Amara", "[PERSON_1]"},
		{"Amara Okafor", "OKAFOR, amara; Amara-Okafor", "[PERSON_1], [PERSON_1_2]; [PERSON_1_3]"},
		{"Amara Okafor", "Amara's, Amara’s and Amaras phone", "[PERSON_1]'s, [PERSON_1]’s and [PERSON_1]s phone"},
		{"James Bond", "James' car", "[PERSON_1]' car"},
		// word boundaries
		{"Ann Lee", "Ann's Anniversary, Joann, annual, Ann2, sleepy", "[PERSON_1]'s Anniversary, Joann, annual, Ann2, sleepy"},
		{"Ann Lee", "“Ann”—Ann_Ann/Ann", "“[PERSON_1]”—[PERSON_1]_[PERSON_1]/[PERSON_1]"},
		// accents, composed or not, or left out
		{"Élise Müller", "Élise, E\u0301lise, elise; MÜLLER, Muller", "[PERSON_1], [PERSON_1_2], [PERSON_1_3]; [PERSON_1_4], [PERSON_1_5]"},
		{"Łukasz Øst", "lukasz Ost", "[PERSON_1]"},
		{"Seán O'Brien", "O’Brien, Obrien, o brien; no brien", "[PERSON_1], [PERSON_1_2], [PERSON_1_3]; no brien"},
		{"Anne-Marie de la Cruz", "Anne or Anne-Marie; de la; Cruz", "[PERSON_1] or [PERSON_1_2]; de la; [PERSON_1_3]"},
		{"山田 太郎", "山田さんと太郎です", "[PERSON_1]さんと[PERSON_1_2]です"},
		{"Мария Иванова", "мария сказала", "[PERSON_1] сказала"},
		// shared by several
		{"Ann Lee|Ann Smith", "Ann Lee, Ann Smith, Ann", "[PERSON_1], [PERSON_2], [PERSON_3]"},
		// that are words
		{"Will Carter", "Will you call? I will. Will said: will do. Carter, a carter.", "Will you call? I will. [PERSON_1] said: will do. [PERSON_1_2], a carter."},
		{"Will Carter", "will carter", "[PERSON_1]"},
		{"May Lin", "May I? In May, by the end of May, May 3. I saw May. It may be.", "May I? In May, by the end of May, May 3. I saw [PERSON_1]. It may be."},
		{"Mark", "Mark my words, mark", "[PERSON_1] my words, mark"},
		// that are none
		{"Speaker 1|Coach|Client|J", "Speaker 1, my coach, J, 1", "Speaker 1, my coach, J, 1"},
		{"Dr. Amara (she/her)", "Dr. Amara, she said", "Dr. [PERSON_1], she said"},
		{"J. Okafor", "J and J. Okafor and Okafor", "J and [PERSON_1] and [PERSON_1_2]"},
		// addresses and numbers
		{"", "Write to amara.o+x@mail.example.com. Or Amara.O+X@mail.example.com!", "Write to [EMAIL_1]. Or [EMAIL_1_2]!"},
		{"", "jö@bücher.example <jö@bücher.example>", "[EMAIL_1] <[EMAIL_1]>"},
		{"Amara Okafor", "amara@okafor.example", "[EMAIL_1]"},
		{"", "+44 20 7946 0958, (020) 7946-0958, 02079460958", "[PHONE_1], [PHONE_2], [PHONE_2_2]"},
		{"", "at 10:30 on 2026-03-02, 02.03.2026, 2019 - 2024, room 12345, 1,000,000", "at 10:30 on 2026-03-02, 02.03.2026, 2019 - 2024, room 12345, 1,000,000"},
		// what looks like a placeholder
		{"Amara", "Amara wrote [PERSON_1] and person_2_9 and EMAIL_7]", "[PERSON_1] wrote [TEXT_1] and [TEXT_2] and [TEXT_3]"},
	} {
		m := New(strings.Split(c.names, "|"))
		got := m.Replace(c.text)
		if got != c.want {
			t.Errorf("%s:\n%s\nis\n%s\nwant\n%s", c.names, c.text, got, c.want)
		}
		if back, ok := m.Restore(got); back != c.text || !ok {
			t.Errorf("%q comes back as %q", c.text, back)
		}
	}
}

// Where nothing but a name stands, it is one.
func TestNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ names, text, want string }{
		{"Amara Okafor|Jonas Lindqvist|Mei Tanaka", "What is Jonas afraid of?", "Jonas Lindqvist"},
		{"Amara Okafor|Jonas Lindqvist|Mei Tanaka", "what did MEI say to lindqvist's wife?", "Jonas Lindqvist|Mei Tanaka"},
		{"Amara Okafor|Jonas Lindqvist|Mei Tanaka", "What did Amara Okafor and Tomasz decide?", "Amara Okafor"},
		{"Amara Okafor|Jonas Lindqvist|Mei Tanaka", "What did Tomasz say in meinem Jonasson?", ""},
		{"Élise Müller", "Was Elise afraid? And muller?", "Élise Müller"},
		{"Seán O'Brien|Ann O'Neill", "Why is O’Brien late?", "Seán O'Brien"},
		// several of one name: all of them, unless it is said whose it is
		{"Ann Lee|Ann Smith|Bo Lee", "Is Ann glad?", "Ann Lee|Ann Smith"},
		{"Ann Lee|Ann Smith|Bo Lee", "Is Ann Lee glad?", "Ann Lee"},
		{"Ann Lee|Ann Smith|Bo Lee", "Is Ann Lee like Ann?", "Ann Lee|Ann Smith"},
		// words
		{"Will Carter|Hope May|Amara", "Will Amara say what she will hope for in May?", "Amara"},
		{"Will Carter|Hope May|Amara", "What does Will fear, and Hope May?", "Will Carter|Hope May"},
		{"Jona Berg", "What does Jonas want?", ""},
		{"J. K.|Coach", "What did J say to his coach?", ""},
		{"", "Who?", ""},
	} {
		names := strings.Split(c.names, "|")
		var got []string
		for _, i := range Named(c.text, names) {
			got = append(got, names[i])
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%q names %q of %s, want %q", c.text, got, c.names, c.want)
		}
	}
}

func TestReplaceName(t *testing.T) {
	t.Parallel()
	m := New([]string{"will", "Speaker 2", "amara@x.example"})
	for name, want := range map[string]string{"will": "[PERSON_1]", "Speaker 2": "Speaker 2"} {
		if got := m.ReplaceName(name); got != want {
			t.Errorf("%s is %s", name, got)
		}
	}
	if got := m.ReplaceName("amara@x.example"); strings.Contains(got, "amara") {
		t.Errorf("an address is %s", got)
	}
}

// Who writes placeholders anew does not always write them as they were.
func TestRestore(t *testing.T) {
	t.Parallel()
	m := New([]string{"Amara Okafor"})
	m.Replace("Amara, AMARA")
	for s, want := range map[string]string{
		"[PERSON_1]'s":             "Amara's",
		"PERSON_1 and [person_01]": "Amara and Amara",
		"[PERSON_1_2]":             "AMARA",
		"[PERSON_1_1]":             "Amara",
	} {
		if got, ok := m.Restore(s); got != want || !ok {
			t.Errorf("%s is %s", s, got)
		}
	}
	for _, s := range []string{"[PERSON_2]", "[PERSON_1_3]", "[PERSON_1_0]", "[EMAIL_1]", "[PERSON_99999999999999999999]"} {
		if got, ok := m.Restore("So " + s); got != "So "+s || ok {
			t.Errorf("%s is %s", s, got)
		}
	}
}

// pieces of which texts are made that are hard to come back from.
var pieces = []string{
	"Amara", "Okafor", "amara", "Will", "May", "山田", "Élise", "E\u0301lise", "O'Brien", "Obrien", "'s", "s", " ", "  ", "\n", "-", "’", "[", "]", "_", "_2", "1", "2", ".", "@",
	"[PERSON_1]", "PERSON_1", "person_", "PERſON_2", "[EMAIL_1", "TEXT_1]", "[[TEXT_1]]", "amara@x.example", "a@b.c", "+44 20 7946 0958", "5551234567", "2026-03-02",
	"\x80", "\xff", "\u200d", "\u0301", "🙂", "in ", "you", "I",
}

// What is replaced comes back to the last byte, and nothing that was hidden is left.
func TestRestoreIsTheInverse(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 1_500 {
		m := New([]string{"Amara Okafor", "Élise O'Brien", "Will May", "山田 太郎", "Amara"})
		for range 2 { // what the second text holds must not spoil the first
			var b strings.Builder
			for range random.IntN(12) {
				if random.IntN(8) == 0 {
					b.WriteRune(rune(random.IntN(0x2000)))
				} else {
					b.WriteString(pieces[random.IntN(len(pieces))])
				}
			}
			s := b.String()
			replaced := m.Replace(s)
			if back, ok := m.Restore(replaced); back != s || !ok {
				t.Fatalf("%q becomes %q and comes back as %q", s, replaced, back)
			}
			if again := m.Replace(s); again != replaced {
				t.Fatalf("%q becomes %q, and then %q", s, replaced, again)
			}
			if strings.Contains(replaced, "amara@x.example") {
				t.Fatalf("%q becomes %q", s, replaced)
			}
		}
	}
}

func FuzzRestore(f *testing.F) {
	for _, p := range pieces {
		f.Add("Amara Okafor", p+" "+p)
	}
	f.Fuzz(func(t *testing.T, name, s string) {
		m := New([]string{name})
		replaced := m.Replace(s)
		if back, ok := m.Restore(replaced); back != s || !ok {
			t.Errorf("%q becomes %q and comes back as %q", s, replaced, back)
		}
		if utf8.ValidString(s) && !utf8.ValidString(replaced) {
			t.Errorf("%q becomes %q", s, replaced)
		}
	})
}
