package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
)

// part is a set of videos that figures are given for.
type part struct {
	name   string
	videos []*video
}

// report prints everything and returns the figures of all videos.
func report(w io.Writer, file string, videos []*video, resamples int) ([5]interval, error) {
	parts := []part{{name: "all"}, {name: "tuning part"}, {name: "held-out part"}}
	parts[0].videos = videos
	for _, v := range videos {
		p := &parts[1]
		if heldOut(v) {
			p = &parts[2]
		}
		p.videos = append(p.videos, v)
	}

	out := &printer{w: w}
	out.printf("%s\n95 %% intervals: bootstrap over videos, %d resamples, seed %d.\n", file, resamples, seed)
	out.printf("Held out: sha256(video_url) mod 3 = 0; rules of AnnoMI's dev.csv were tried on the rest only. Another file is new as a whole.\n\n")
	var all [5]interval
	columns := make([][5]interval, len(parts))
	out.printf("%-20s", "")
	for i, p := range parts {
		columns[i] = intervals(p.videos, resamples)
		out.printf("  %-24s", p.name)
	}
	all = columns[0]
	out.printf("\n")
	for k, name := range names {
		out.printf("%-20s", name)
		for i := range parts {
			out.printf("  %-24s", columns[i][k])
		}
		out.printf("\n")
	}
	out.printf("%-20s", "n")
	for _, p := range parts {
		out.printf("  %-24s", sizeOf(p.videos))
	}
	out.printf("\n")

	for _, p := range parts {
		if len(p.videos) > 0 {
			detail(out, p)
		}
	}
	return all, out.err
}

func (i interval) String() string {
	if math.IsNaN(i.value) {
		return "not computable"
	}
	return fmt.Sprintf("%.3f [%.3f, %.3f]", i.value, i.low, i.high)
}

func sizeOf(videos []*video) string {
	high, low := 0, 0
	for _, v := range videos {
		for _, s := range v.sessions {
			if s.high {
				high++
			} else {
				low++
			}
		}
	}
	return fmt.Sprintf("%d videos, %d high, %d low", len(videos), high, low)
}

// detail prints what is behind the headlines of a part.
func detail(out *printer, p part) {
	c := newCounts()
	citations := ratio{}
	certain := map[string]*certainty{}
	for _, v := range p.videos {
		c.merge(&v.utterance)
		citations.part += v.citations.part
		citations.all += v.citations.all
		for label, add := range v.certainty {
			if certain[label] == nil {
				certain[label] = &certainty{}
			}
			certain[label].n += add.n
			certain[label].confidence += add.confidence
			certain[label].agreed += add.agreed
		}
	}
	out.printf("\n== %s ==\n", p.name)
	table(out, "a therapist's utterance asks (question_exists)", &c.question)
	table(out, "what a therapist's utterance does (main_therapist_behaviour)", &c.therapist)
	table(out, "where a client's utterance leans (client_talk_type)", &c.client)
	table(out, "questions that both sides see (question_subtype)", &c.openness)
	out.printf("\ncitations: %d of %d stand in the transcript\n", citations.part, citations.all)
	out.printf("\nconfidence of a code, and how often humans agree\n")
	for _, label := range append(append([]string{}, behaviours...), talkTypes...) {
		if s := certain[label]; s != nil {
			out.printf("  %-16s confidence %.2f, agreement %.2f, n %d\n", label, s.confidence/float64(s.n), float64(s.agreed)/float64(s.n), s.n)
		}
	}
}

// table prints a confusion matrix with what follows from it.
func table(out *printer, title string, c *confusion) {
	out.printf("\n%s: n %d, kappa %s, macro-F1 %s\n", title, c.total(), decimals(c.kappa()), decimals(c.macroF1()))
	out.printf("  %-16s", "human \\ ours")
	for _, l := range c.labels {
		out.printf(" %15s", l)
	}
	out.printf("   precision  recall     F1\n")
	for i, l := range c.labels {
		out.printf("  %-16s", l)
		for _, n := range c.n[i] {
			out.printf(" %15d", n)
		}
		both, ours, human := c.class(i)
		out.printf("   %9s  %6s  %5s\n", decimals(ratio{both, ours}.value()), decimals(ratio{both, human}.value()), decimals(c.f1(i)))
	}
}

func decimals(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.3f", v)
}

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// writeJSON writes the figures of all videos as one line; what cannot be computed is null.
func writeJSON(w io.Writer, all [5]interval) error {
	var fields []string
	for k, name := range names {
		value, err := json.Marshal(struct {
			Value *float64 `json:"value"`
			Low   *float64 `json:"low"`
			High  *float64 `json:"high"`
		}{rounded(all[k].value), rounded(all[k].low), rounded(all[k].high)})
		if err != nil {
			return err
		}
		fields = append(fields, fmt.Sprintf("%q:%s", name, value))
	}
	_, err := fmt.Fprintf(w, "{%s}\n", strings.Join(fields, ","))
	return err
}

// rounded is to four decimals, nil for NaN.
func rounded(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	v = math.Round(v*1e4) / 1e4
	return &v
}
