package format

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkParse reads two hours of conversation, 18,000 words, in every format. median-ms is what a time of one reading is
// compared with: it does not move with a single slow one.
func BenchmarkParse(b *testing.B) {
	for _, file := range twoHours(b) {
		b.Run(file.name, func(b *testing.B) {
			var took []time.Duration
			b.SetBytes(int64(len(file.content)))
			b.ReportAllocs()
			for b.Loop() {
				began := time.Now()
				if _, err := Parse(file.content, Options{}); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
		})
	}
}

// BenchmarkExport writes the same conversation.
func BenchmarkExport(b *testing.B) {
	doc, err := Parse(twoHours(b)[0].content, Options{})
	if err != nil {
		b.Fatal(err)
	}
	for _, to := range []Format{WebVTT, SubRip, Text, JSON} {
		b.Run(string(to), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := Export(&bytes.Buffer{}, doc, to); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestTwoHoursAreCheap keeps the budget of memory, which does not depend on the machine, and finds what was said in every
// format. It is not parallel: it counts all that is allocated meanwhile.
func TestTwoHoursAreCheap(t *testing.T) {
	const budget = 20 << 20
	for _, file := range twoHours(t) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		doc, err := Parse(file.content, Options{})
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(file.name, err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > budget {
			t.Errorf("%s: %d kB allocated for a file of %d kB", file.name, got>>10, len(file.content)>>10)
		}
		words := 0
		for _, u := range doc.Utterances {
			words += len(strings.Fields(u.Text))
		}
		if words != 18_000 || len(doc.Speakers) != 2 {
			t.Errorf("%s: %d words of %d speakers", file.name, words, len(doc.Speakers))
		}
	}
}

type namedFile struct {
	name    string
	content []byte
}

// spoken is what every file of twoHours says: a piece of six words each 2.4 seconds, four of them a turn.
type spoken struct {
	name       string
	speaker    int
	start, end float64 // seconds
	words      []string
}

func (s spoken) text() string { return strings.Join(s.words, " ") }

// timed gives the words with their times.
func (s spoken) timed(yield func(word string, start, end float64)) {
	step := (s.end - s.start) / float64(len(s.words))
	for i, w := range s.words {
		yield(w, s.start+float64(i)*step, s.start+float64(i+1)*step)
	}
}

// twoHours writes the same conversation in every format, as its product does: with all that it writes besides.
func twoHours(t testing.TB) []namedFile {
	t.Helper()
	sentences := []string{"What did you notice about it?", "I think that it’s still true.", "Well, I said yes, and then", "nobody asked me about that again,"}
	pieces := make([]spoken, 3000)
	for i := range pieces {
		speaker := i / 4 % 2
		pieces[i] = spoken{[]string{"Maren Oduya (Coach)", "Teodor Lind"}[speaker], speaker, float64(i) * 2.4, float64(i)*2.4 + 2.1, strings.Fields(sentences[i%4])}
	}
	write := func(before string, each func(b *strings.Builder, i int, s spoken), after string) []byte {
		var b strings.Builder
		b.WriteString(before)
		for i, s := range pieces {
			each(&b, i, s)
		}
		return []byte(strings.TrimSuffix(b.String(), ",") + after)
	}
	ms := func(seconds float64) int64 { return int64(seconds*1000 + 0.5) }
	quoted := func(s string) string { q, _ := json.Marshal(s); return string(q) }

	files := []namedFile{
		{"zoom.vtt", write("WEBVTT\r\n\r\n", func(b *strings.Builder, i int, s spoken) {
			fmt.Fprintf(b, "%d\r\n%s --> %s\r\n%s: %s\r\n\r\n", i+1, clockText(ms(s.start), "."), clockText(ms(s.end), "."), s.name, s.text())
		}, "")},
		{"teams.vtt", write("WEBVTT\n\n", func(b *strings.Builder, i int, s spoken) {
			fmt.Fprintf(b, "6f1d2c3a-5b47-4e0e-9a41-0d8f1f6f7a11/%d-0\n%s --> %s\n<v %s>%s</v>\n\n", i, clockText(ms(s.start), "."), clockText(ms(s.end), "."), s.name, s.text())
		}, "")},
		{"subrip.srt", write("", func(b *strings.Builder, i int, s spoken) {
			fmt.Fprintf(b, "%d\n%s --> %s\n%s: %s\n\n", i+1, clockText(ms(s.start), ","), clockText(ms(s.end), ","), s.name, s.text())
		}, "")},
		{"lines.txt", write("", func(b *strings.Builder, _ int, s spoken) { fmt.Fprintf(b, "%s: %s\n", s.name, s.text()) }, "")},
		{"otter.txt", write("", func(b *strings.Builder, _ int, s spoken) {
			fmt.Fprintf(b, "%s  %s  \n%s\n\n", s.name, shortClock(ms(s.start)/1000*1000), s.text())
		}, "Transcribed by https://otter.ai\n")},
		{"inline.txt", write("", func(b *strings.Builder, _ int, s spoken) {
			fmt.Fprintf(b, "[%s] %s: %s\n", shortClock(ms(s.start)/1000*1000), s.name, s.text())
		}, "")},
		{"table.csv", write("Speaker,Start,End,Text\n", func(b *strings.Builder, _ int, s spoken) {
			fmt.Fprintf(b, "%q,%.3f,%.3f,%q\n", s.name, s.start, s.end, s.text())
		}, "")},
		{"otter.json", write(`{"speech":{"language":"en","speakers":[{"id":1,"speaker_name":"A"},{"id":2,"speaker_name":"B"}],"transcripts":[`, func(b *strings.Builder, i int, s spoken) {
			fmt.Fprintf(b, `{"uuid":"48fa121e-e4eb-4c47-8c85-cfebf74bb824","id":%d,"start_offset":%d,"end_offset":%d,"transcript":%s,"label":"0","speaker_id":%d,"created_at":"2026-01-01 11:40:19","alignment":[`,
				i, ms(s.start)*16, ms(s.end)*16, quoted(s.text()), s.speaker+1)
			s.timed(func(w string, start, end float64) {
				fmt.Fprintf(b, `{"word":%s,"start":%.2f,"end":%.2f,"startOffset":0,"endOffset":3},`, quoted(w), start-s.start, end-s.start)
			})
			b.WriteString(`{"word":"","start":0,"end":0}],"sig":"jUU1MV1Y+MbEU028"},`)
		}, `]}}`)},
		{"fireflies.json", write(`{"data":{"transcript":{"sentences":[`, func(b *strings.Builder, i int, s spoken) {
			fmt.Fprintf(b, `{"index":%d,"speaker_name":%s,"speaker_id":%d,"text":%s,"raw_text":%s,"start_time":%.2f,"end_time":%.2f,"ai_filters":{"task":null,"pricing":null,"metric":null,"question":null,"date_and_time":null,"sentiment":"neutral"}},`,
				i, quoted(s.name), s.speaker, quoted(s.text()), quoted(s.text()), s.start, s.end)
		}, `]}}}`)},
		{"assemblyai.json", func() []byte {
			words := func(b *strings.Builder, s spoken) {
				s.timed(func(w string, start, end float64) {
					fmt.Fprintf(b, `{"text":%s,"start":%d,"end":%d,"confidence":0.99785,"speaker":"%c"},`, quoted(w), ms(start), ms(end), 'A'+rune(s.speaker))
				})
			}
			head := write(`{"id":"t","audio_url":"https://media.example/t.mp3","words":[`, func(b *strings.Builder, _ int, s spoken) { words(b, s) }, `],"utterances":[`)
			return append(head, write("", func(b *strings.Builder, _ int, s spoken) {
				fmt.Fprintf(b, `{"speaker":"%c","text":%s,"start":%d,"end":%d,"confidence":0.97,"words":[`, 'A'+rune(s.speaker), quoted(s.text()), ms(s.start), ms(s.end))
				words(b, s)
				b.WriteString(`{"text":""}]},`)
			}, `]}`)...)
		}()},
		{"deepgram.json", func() []byte {
			words := func(b *strings.Builder, s spoken) {
				s.timed(func(w string, start, end float64) {
					fmt.Fprintf(b, `{"word":%s,"start":%.6f,"end":%.6f,"confidence":0.99785,"speaker":%d,"speaker_confidence":0.71,"punctuated_word":%s},`, quoted(strings.ToLower(w)), start, end, s.speaker, quoted(w))
				})
			}
			head := write(`{"metadata":{},"results":{"channels":[{"alternatives":[{"transcript":"","confidence":0.99,"words":[`, func(b *strings.Builder, _ int, s spoken) { words(b, s) }, `]}]}],"utterances":[`)
			return append(head, write("", func(b *strings.Builder, _ int, s spoken) {
				fmt.Fprintf(b, `{"start":%.6f,"end":%.6f,"confidence":0.97,"channel":0,"transcript":%s,"speaker":%d,"id":"00000000-0000-4000-8000-000000000000","words":[`, s.start, s.end, quoted(s.text()), s.speaker)
				words(b, s)
				b.WriteString(`{"word":""}]},`)
			}, `]}}`)...)
		}()},
		{"aws.json", func() []byte {
			head := write(`{"jobName":"t","accountId":"0","results":{"language_code":"en-US","speaker_labels":{"speakers":2,"segments":[`, func(b *strings.Builder, _ int, s spoken) {
				fmt.Fprintf(b, `{"start_time":"%.3f","end_time":"%.3f","speaker_label":"spk_%d","items":[`, s.start, s.end, s.speaker)
				s.timed(func(_ string, start, end float64) {
					fmt.Fprintf(b, `{"speaker_label":"spk_%d","start_time":"%.3f","end_time":"%.3f"},`, s.speaker, start, end)
				})
				b.WriteString(`{}]},`)
			}, `]},"items":[`)
			return append(head, write("", func(b *strings.Builder, _ int, s spoken) {
				s.timed(func(w string, start, end float64) {
					word := strings.TrimRight(w, ",.?")
					fmt.Fprintf(b, `{"start_time":"%.3f","end_time":"%.3f","alternatives":[{"confidence":"0.998","content":%s}],"type":"pronunciation"},`, start, end, quoted(word))
					if mark := w[len(word):]; mark != "" {
						fmt.Fprintf(b, `{"alternatives":[{"confidence":"0.0","content":"%s"}],"type":"punctuation"},`, mark)
					}
				})
			}, `]},"status":"COMPLETED"}`)...)
		}()},
		{"whisperx.json", write(`{"segments":[`, func(b *strings.Builder, i int, s spoken) {
			fmt.Fprintf(b, `{"start":%.3f,"end":%.3f,"text":%s,"speaker":"SPEAKER_0%d","words":[`, s.start, s.end, quoted(" "+s.text()), s.speaker)
			s.timed(func(w string, start, end float64) {
				fmt.Fprintf(b, `{"word":%s,"start":%.3f,"end":%.3f,"score":0.912,"speaker":"SPEAKER_0%d"},`, quoted(w), start, end, s.speaker)
			})
			b.WriteString(`{"word":""}]},`)
		}, `],"word_segments":[],"language":"en"}`)},
		{"list.json", write("[", func(b *strings.Builder, _ int, s spoken) {
			fmt.Fprintf(b, "\n  {\n    \"speaker\": %s,\n    \"start\": %s,\n    \"end\": %s,\n    \"text\": %s\n  },", quoted(s.name), strconv.FormatInt(ms(s.start), 10), strconv.FormatInt(ms(s.end), 10), quoted(s.text()))
		}, "\n]\n")},
	}
	doc, err := Parse(files[0].content, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []Format{WebVTT, SubRip, Text, JSON} {
		var b bytes.Buffer
		if err := Export(&b, doc, to); err != nil {
			t.Fatal(err)
		}
		files = append(files, namedFile{"exported as " + string(to), b.Bytes()})
	}
	return files
}
