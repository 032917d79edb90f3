package format

import (
	"bufio"
	"encoding/json"
	"io"
	"unicode/utf8"
)

// The JSON of our own, which docs/formats.md describes. A reader of version 1 may ignore members that it does not know.
const (
	rapportFormat  = "rapport.transcript"
	rapportVersion = "1"
	rapportProduct = "rapport"
)

// rapportUtterance is one utterance of our JSON. A speaker is an index into the list of speakers, null for nobody.
type rapportUtterance struct {
	Speaker *int   `json:"speaker"`
	StartMs *int64 `json:"startMs,omitempty"`
	EndMs   *int64 `json:"endMs,omitempty"`
	Text    string `json:"text"`
	Cues    []Cue  `json:"cues,omitempty"`
}

func isRapport(root jsonValue) bool {
	s, _ := root.member("format").string()
	return s == rapportFormat
}

// readRapport reads our own JSON. It says itself where utterances begin, and is held to what it says.
func (r *jsonReader) readRapport() (*Document, error) {
	if v := r.root.member("version").plain(); v != rapportVersion {
		return nil, r.wrong(r.root.member("version"), "the version is not %s, the only one that can be read", rapportVersion)
	}
	r.product = rapportProduct
	r.unit = milliseconds
	var names []string
	for s := range r.root.member("speakers").values() {
		name := cleanName(r.words(s))
		if name == "" {
			return nil, r.wrong(s, "a speaker has no name")
		}
		names = append(names, name)
	}
	for u := range r.root.member("utterances").values() {
		rec := record{line: r.lineOf(u), bound: apart, text: r.words(u.member("text"))}
		if speaker := u.member("speaker"); speaker.kind() == '0' {
			i, ok := index(speaker.plain(), len(names))
			if !ok {
				return nil, r.wrong(speaker, "the speaker is not in the list of speakers")
			}
			rec.speaker = names[i]
		}
		rec.set(partStart, u.member("startMs").plain(), r.unit)
		rec.set(partEnd, u.member("endMs").plain(), r.unit)
		cues := u.member("cues")
		if cues.first().exists() {
			if err := r.readRapportCues(rec, cues); err != nil {
				return nil, err
			}
			continue
		}
		r.records = append(r.records, rec)
	}
	return r.finish()
}

// readRapportCues cuts an utterance where its cues begin.
func (r *jsonReader) readRapportCues(rec record, cues jsonValue) error {
	rest, from := rec.text, 0 // what is left, and at which character of the text it begins
	first := len(r.records)
	for cue := range cues.values() {
		offset, ok := index(cue.member("offset").plain(), utf8.RuneCountInString(rec.text))
		if !ok || offset < from || len(r.records) == first && offset != 0 || len(r.records) > first && offset == from {
			return r.wrong(cue, "the offset of a cue is not where a word begins, after the cue before")
		}
		cut := byteOffset(rest, offset-from)
		if len(r.records) > first {
			if rest[cut-1] != ' ' {
				return r.wrong(cue, "the offset of a cue is not where a word begins")
			}
			r.records[len(r.records)-1].text = rest[:cut-1]
		}
		rest, from = rest[cut:], offset
		piece := record{line: rec.line, speaker: rec.speaker, bound: joined, text: rest}
		if len(r.records) == first {
			piece.bound = apart
		}
		piece.set(partStart, cue.member("startMs").plain(), r.unit)
		piece.set(partEnd, cue.member("endMs").plain(), r.unit)
		r.records = append(r.records, piece)
	}
	return nil
}

// wrong says what is wrong with a value and where it stands.
func (r *jsonReader) wrong(v jsonValue, message string, args ...any) error {
	at := 0
	if v.exists() {
		at = v.offset()
	}
	return jsonError(r.src.text, at, message, args...)
}

// index reads a whole number from 0 to below limit.
func index(s string, limit int) (n int, ok bool) {
	for i := range len(s) {
		if !isDigit(s[i]) || n >= limit {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, s != "" && n < limit
}

// byteOffset is where the n-th character of s begins.
func byteOffset(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// writeRapport writes our own JSON, a line an utterance.
func writeRapport(w io.Writer, doc *Document) error {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(noLineEnd{out})
	enc.SetEscapeHTML(false)
	names := doc.Speakers
	if names == nil {
		names = []string{}
	}
	out.WriteString(`{"format":"` + rapportFormat + `","version":` + rapportVersion + `,"language":`)
	if err := enc.Encode(doc.Language); err != nil {
		return err
	}
	out.WriteString(",\n\"speakers\":")
	if err := enc.Encode(names); err != nil {
		return err
	}
	out.WriteString(",\n\"utterances\":[")
	for i, u := range doc.Utterances {
		out.WriteString([]string{"\n", ",\n"}[min(i, 1)])
		line := rapportUtterance{StartMs: u.StartMs, EndMs: u.EndMs, Text: u.Text, Cues: u.Cues}
		if u.Speaker >= 0 {
			line.Speaker = &u.Speaker
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	out.WriteString("\n]}\n")
	return out.Flush()
}

// noLineEnd leaves out the line end that a json.Encoder writes after each value, in a write with it.
type noLineEnd struct{ *bufio.Writer }

func (w noLineEnd) Write(b []byte) (int, error) {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		_, err := w.Writer.Write(b[:n-1])
		return n, err
	}
	return w.Writer.Write(b)
}
