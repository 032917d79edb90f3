package format

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// record is what JSON and CSV are made of: somebody says something at some time.
type record struct {
	line       int // index in the file
	speaker    string
	text       string
	start, end moment
	duration   moment
	bound      bound
}

// moment is a time as it stands in the file.
type moment struct {
	kind  momentKind
	value float64
}

type momentKind uint8

const (
	momentMissing momentKind = iota
	momentBad                // there is something, but no time
	momentNumber             // in the unit of the file
	momentExact              // in milliseconds
	momentDate               // in milliseconds since 1970
)

// Units in milliseconds.
const (
	milliseconds = 1
	seconds      = 1000
	ticks        = 1.0 / 10_000 // of 100 ns, Microsoft's
)

// momentOf reads `4.87`, `1.2s`, `250 ms`, `0:04.87` and RFC 3339.
func momentOf(s string) moment {
	s = strings.TrimSpace(s)
	if s == "" {
		return moment{}
	}
	if strings.Contains(s, ":") && !strings.ContainsAny(s, "TZ ") {
		if ms, ok := parseSignedClock(strings.Trim(s, "[]()")); ok {
			return moment{momentExact, float64(ms)}
		}
	}
	number, unit := s, 0.0
	if before, found := strings.CutSuffix(s, "ms"); found {
		number, unit = strings.TrimSpace(before), milliseconds
	} else if before, found := strings.CutSuffix(s, "s"); found {
		number, unit = strings.TrimSpace(before), seconds
	}
	value, err := strconv.ParseFloat(number, 64)
	if err != nil && strings.Count(number, ",") == 1 { // 4,87 where people write so
		value, err = strconv.ParseFloat(strings.Replace(number, ",", ".", 1), 64)
	}
	switch {
	case err == nil && unit != 0:
		return moment{momentExact, value * unit}
	case err == nil:
		return moment{momentNumber, value}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return moment{momentDate, float64(t.UnixMilli())}
		}
	}
	return moment{kind: momentBad}
}

// in gives a number its unit.
func (m moment) in(unit float64) moment {
	if m.kind == momentNumber && unit != 0 {
		return moment{momentExact, m.value * unit}
	}
	return m
}

// recordReader turns records into a document.
type recordReader struct {
	src      *source
	records  []record
	unit     float64 // of momentNumber, 0 if the file does not say
	sorted   bool    // the records are several channels, one after the other: their order says nothing
	language string
	product  string
}

func (r *recordReader) document() (*Document, error) {
	who := &cast{src: r.src}
	pieces := make([]said, 0, len(r.records))
	kept := r.records[:0]
	began := false // an utterance with a cue that has no words
	for _, rec := range r.records {
		rec.text = collapse(rec.text)
		began = began && rec.bound == joined || rec.bound == apart && rec.text == ""
		if rec.text == "" {
			r.src.warn(rec.line, WarnEmptyCue)
			continue
		}
		if began {
			rec.bound, began = apart, false
		}
		kept = append(kept, rec)
		pieces = append(pieces, said{
			line: rec.line, start: noTime, end: noTime, speaker: who.index(cleanName(rec.speaker), rec.line), text: rec.text, bound: rec.bound,
		})
	}
	r.records = kept
	r.setTimes(pieces)
	if who.names != nil && r.product != rapportProduct { // which says so itself
		for _, p := range pieces {
			if p.speaker == unknown {
				r.src.warn(p.line, WarnSpeakerMissing)
			}
		}
	}
	if r.sorted {
		sortByStart(pieces, nil)
	}
	doc, err := finish(r.src, pieces, who, r.language)
	if err == nil {
		doc.Source = r.product
	}
	return doc, err
}

// setTimes gives all pieces a start, or none, and all of them an end, or none: what most records have.
func (r *recordReader) setTimes(pieces []said) {
	starts, ends := 0, 0
	for _, rec := range r.records {
		if rec.start.kind > momentBad {
			starts++
		}
		if rec.end.kind > momentBad {
			ends++
		}
	}
	if starts*2 < len(pieces) || starts == 0 {
		if starts > 0 {
			r.src.warn(pieces[0].line, WarnTimesSparse)
		}
		return
	}
	hasEnds := ends*2 >= len(pieces)
	r.settleUnit()
	before := int64(0)
	for i, rec := range r.records {
		p := &pieces[i]
		start, startOK := rec.start.ms()
		end, endOK := rec.end.ms()
		if !startOK {
			r.src.warn(p.line, WarnTimesUnreadable)
			start = before
		}
		if !hasEnds {
			start, _ = inOrder(r.src, p.line, start, noTime)
			p.start, before = start, start
			continue
		}
		if !endOK {
			if startOK {
				r.src.warn(p.line, WarnTimesUnreadable)
			}
			end = start
		}
		p.start, p.end = inOrder(r.src, p.line, start, end)
		before = p.end
	}
}

// ms is the time if there is one that a recording can have; before its start it is negative.
func (m moment) ms() (int64, bool) {
	if m.kind != momentExact || math.IsNaN(m.value) || m.value > maxMs {
		return 0, false
	}
	return int64(math.Round(max(m.value, -maxMs))), true
}

// Talk of fewer words a minute than this is none: the times were read in a unit a thousand times too long. It lies in the
// middle between 150 words a minute and 0.15.
const fewestWordsPerMinute = 5

// settleUnit turns numbers and dates into offsets.
func (r *recordReader) settleUnit() {
	words, votes := 0, 0
	line := -1                     // of the first number
	number, date := noBase, noBase // the earliest of each
	for _, rec := range r.records {
		words += strings.Count(rec.text, " ") + 1
		for _, m := range []moment{rec.start, rec.end} {
			switch {
			case m.kind == momentDate:
				date = min(date, m.value)
			case m.kind == momentNumber && m.value > 0 && !math.IsInf(m.value, 0):
				if line < 0 {
					line = rec.line
				}
				number = min(number, m.value)
				// Who says ten words by 4000 says them by the fourth second, not by the four thousandth.
				if float64(words)*60 < m.value*fewestWordsPerMinute {
					votes++
				} else {
					votes--
				}
			}
		}
	}
	const year2001, year2001ms = 1e9, 1e12
	unit, base := r.unit, 0.0
	if unit == 0 && line >= 0 {
		code := WarnTimesSeconds
		unit = seconds
		switch {
		case number > year2001ms:
			unit, base, code = milliseconds, number, WarnTimesOfDay
		case number > year2001:
			base, code = number, WarnTimesOfDay
		case votes > 0:
			unit, code = milliseconds, WarnTimesMilliseconds
		}
		r.src.warn(line, code)
	}
	if date < noBase {
		r.src.warn(r.records[0].line, WarnTimesOfDay)
	}
	settle := func(m *moment) {
		switch m.kind {
		case momentNumber:
			*m = moment{momentExact, (m.value - base) * max(unit, milliseconds)}
		case momentDate:
			*m = moment{momentExact, m.value - date}
		}
	}
	for i := range r.records {
		settle(&r.records[i].start)
		settle(&r.records[i].end)
	}
}

// noBase is later than all times.
const noBase = math.MaxFloat64

// Which part of a record a column or a member is, and how sure that is: the lower rank wins where several are there.
type field struct {
	part part
	rank int
	unit float64 // if the name says one
}

type part uint8

const (
	partNone part = iota
	partSpeaker
	partStart
	partEnd
	partDuration
	partText
)

// fieldNames lists the names of each part, the best first, in small letters and without what stands between them. Behind the
// English ones are those of spreadsheets in the languages that a transcript is recognised in.
var fieldNames = map[part][]string{
	partSpeaker: {"speakername", "speaker", "speakerlabel", "displayname", "participantname", "participant", "participantrole", "author", "name", "user",
		"username", "who", "interlocutor", "person", "role", "speakerid", "speakertag", "speakermodellabel", "channel", "channellabel",
		"speakerdisplayname", "sprecher", "sprecherin", "redner", "teilnehmer", "locuteur", "intervenant", "orateur", "hablante", "orador", "participante",
		"parlante", "relatore", "falante", "spreker", "deelnemer", "nom", "nombre", "nome", "naam"},
	partStart: {"start", "starttime", "startoffset", "begin", "begintime", "beginoffset", "from", "starts", "startat", "startedat", "timestamp", "timecode",
		"time", "offset", "ts", "at", "in",
		"beginn", "anfang", "startzeit", "von", "zeitstempel", "zeit", "début", "debut", "horodatage", "heure", "temps", "inicio", "início", "comienzo",
		"tiempo", "hora", "inizio", "tempo", "starttijd", "tijdstempel", "tijd"},
	partEnd: {"end", "endtime", "endoffset", "stop", "stoptime", "to", "ends", "endat", "endedat", "endts", "out",
		"ende", "endzeit", "bis", "fin", "fine", "fim", "einde", "eindtijd", "tot"},
	partDuration: {"duration", "dur", "length", "dauer", "durée", "duree", "duración", "duracion", "durata", "duração", "duur"},
	partText: {"text", "transcript", "sentence", "utterance", "content", "punctuatedword", "word", "caption", "message", "speech", "statement", "body",
		"display", "words", "transcription", "utterancetext", "spokentext",
		"transkript", "äußerung", "aussage", "texte", "parole", "texto", "testo", "trascrizione", "tekst", "uitspraak"},
}

// unitNames are what times may end in.
var unitNames = []struct {
	suffix string
	unit   float64
}{
	{"milliseconds", milliseconds}, {"millis", milliseconds}, {"msec", milliseconds}, {"ms", milliseconds},
	{"seconds", seconds}, {"secs", seconds}, {"sec", seconds}, {"inticks", ticks}, {"ticks", ticks},
	{"hhmmssms", 0}, {"hhmmssmmm", 0}, {"hhmmss", 0}, {"hmmss", 0}, {"hms", 0}, {"mmss", 0},
}

// fieldOf says what a name like `Start Time (ms)` stands for.
func fieldOf(name string) field {
	const longest = 40
	if len(name) > longest {
		return field{}
	}
	letters := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) {
				return unicode.ToLower(r)
			}
			return -1
		}, s)
	}
	// An s that stands apart is a unit: that of "starts" is none.
	if before, last, apart := cutLast(strings.TrimRight(name, ")] "), " _-(["); apart && strings.EqualFold(last, "s") {
		if f := partOf(letters(before)); f.isTime() {
			f.unit = seconds
			return f
		}
	}
	plain := letters(name)
	if f := partOf(plain); f.part != partNone {
		return f
	}
	for _, u := range unitNames {
		if stem, found := strings.CutSuffix(plain, u.suffix); found {
			stem = strings.TrimSuffix(stem, "in")
			if f := partOf(stem); f.isTime() {
				f.unit = u.unit
				return f
			}
		}
	}
	return field{}
}

// cutLast cuts s around the last of the characters.
func cutLast(s, characters string) (before, after string, found bool) {
	i := strings.LastIndexAny(s, characters)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func (f field) isTime() bool {
	return f.part == partStart || f.part == partEnd || f.part == partDuration
}

func partOf(plain string) field {
	for part := partSpeaker; part <= partText; part++ {
		for rank, n := range fieldNames[part] {
			if n == plain {
				return field{part: part, rank: rank + 1}
			}
		}
	}
	return field{}
}

// set gives a record what one of its columns or members says, in the unit that its name names.
func (rec *record) set(p part, s string, unit float64) {
	switch p {
	case partSpeaker:
		rec.speaker = s
	case partText:
		rec.text = s
	case partStart:
		if start, end, ok := parseClocks(strings.TrimSpace(s)); ok && end != noTime { // both in one
			rec.start, rec.end = moment{momentExact, float64(start)}, moment{momentExact, float64(end)}
			return
		}
		rec.start = momentOf(s).in(unit)
	case partEnd:
		rec.end = momentOf(s).in(unit)
	case partDuration:
		rec.duration = momentOf(s).in(unit)
	}
}

// close computes what is not there: the end, if the file says how long somebody speaks.
func (rec *record) close() {
	if rec.end.kind == momentMissing && rec.duration.kind == rec.start.kind {
		rec.end = moment{rec.start.kind, rec.start.value + rec.duration.value}
	}
}

// labelled makes a name of what only tells speakers apart: 0 and A become Speaker 0 and Speaker A.
func labelled(label string) string {
	label = strings.TrimSpace(label)
	if len(label) == 1 && isASCIILetter(label[0]) || label != "" && len(label) <= 3 && strings.Trim(label, "0123456789") == "" {
		return "Speaker " + label
	}
	return label
}
