package format

import (
	"strings"
	"unicode/utf8"
)

// said is what one speaker says within one cue: the piece that utterances are made of.
type said struct {
	line       int   // index in the file
	start, end int64 // or noTime; either all pieces of a file have a start or none, and so with the end
	speaker    int   // index into the cast's names, or unknown
	text       string
	bound      bound
}

const (
	unknown = -1
	noTime  = -1 << 62 // no time of a recording, nor one that somebody moved before its start
)

// bound says whether a piece begins an utterance.
type bound int

const (
	byRule bound = iota // it does if mergeable says so
	apart               // it does, because the file says so
	joined              // it does not, because the file says so; but nobody goes on with what another began
)

// finish is where all readers end: it puts the pieces in order, drops names that say nothing and makes utterances.
func finish(src *source, pieces []said, who *cast, language string) (*Document, error) {
	if len(pieces) == 0 {
		return nil, invalid(CodeNoCues, "there are no words in the file that anybody says")
	}
	if len(pieces) > MaxCues {
		return nil, invalid(CodeTooManyCues, "the file has %d cues, %d are the most that can be imported", len(pieces), MaxCues)
	}
	size, long := 0, false
	for _, p := range pieces {
		size += len(p.text)
		if !long && max(p.start, p.end) > dayMs {
			long = true
			src.warn(p.line, WarnTimesBeyondADay)
		}
	}
	if size > MaxTextBytes {
		return nil, invalid(CodeTooLarge, "the file has more than %s of words, the most that can be imported", byteCount(MaxTextBytes))
	}
	sortByStart(pieces, src)
	speakers := who.inOrder(pieces)
	if len(speakers) > MaxSpeakers {
		return nil, invalid(CodeTooManySpeakers, "the file names %d speakers, %d are the most that can be imported: "+
			"what stands before its colons is perhaps no name", len(speakers), MaxSpeakers)
	}
	if len(speakers) == 0 {
		src.warn(pieces[0].line, WarnSpeakersMissing)
	}
	if pieces[0].start != noTime && pieces[0].end == noTime {
		src.warn(pieces[0].line, WarnEndsMissing)
	}
	doc := &Document{Language: language, Speakers: speakers, Utterances: merge(pieces)}
	if language == "" {
		doc.Language = guessLanguage(doc.Utterances)
	}
	return doc, nil
}

// document settles who speaks, and finishes.
func (r *cueReader) document() (*Document, error) {
	if len(r.cues) == 0 {
		return nil, invalid(CodeNoCues, "the file has no cues")
	}
	pieces, who := r.settle()
	if len(pieces) == 0 {
		return nil, invalid(CodeNoCues, "the file has cues, but there are no words in them")
	}
	if r.src.open && breaksOff(pieces) {
		r.src.warn(len(r.src.lines)-1, WarnTruncated)
	}
	doc, err := finish(r.src, pieces, who, r.language)
	if err == nil {
		doc.Source = r.product
	}
	return doc, err
}

// settle finds the speaker of every cue, and splits the cues in which several speak.
func (r *cueReader) settle() ([]said, *cast) {
	spans, bounds, cut := r.spans()
	s := &settler{src: r.src, names: namesIn(spans), cast: cast{src: r.src}, speaker: unknown, pieces: make([]said, 0, len(r.cues))}
	for i, cue := range r.cues {
		// Only a last line without end can be the beginning of something.
		last := i == len(r.cues)-1
		s.readCue(cue, spans[bounds[i]:bounds[i+1]], last && r.src.open, last && cut)
	}
	return s.pieces, &s.cast
}

// spans gives the spans of all cues in one slice; those of cue i are spans[bounds[i]:bounds[i+1]]. cut says that the last
// cue ends within a tag.
func (r *cueReader) spans() (spans []span, bounds []int, cut bool) {
	spans = make([]span, 0, len(r.cues))
	bounds = make([]int, 1, len(r.cues)+1)
	bold := r.allBold()
	for i, cue := range r.cues {
		payload := strings.Join(cue.payload, "\n")
		if bold {
			var name string
			name, payload, _ = cutBoldName(payload)
			before := len(spans)
			spans, cut = appendSpans(spans, payload, r.src.open && i == len(r.cues)-1)
			for j := before; j < len(spans); j++ {
				spans[j].voiced, spans[j].voice = true, name
			}
		} else {
			spans, cut = appendSpans(spans, payload, r.src.open && i == len(r.cues)-1)
		}
		bounds = append(bounds, len(spans))
	}
	return spans, bounds, cut
}

// allBold tells whether every cue begins with a name in bold, as in `<b>Ann:</b> So.`: then nothing else is one.
func (r *cueReader) allBold() bool {
	for _, cue := range r.cues {
		if len(cue.payload) == 0 {
			return false
		}
		if _, _, ok := cutBoldName(cue.payload[0]); !ok {
			return false
		}
	}
	return true
}

// settler goes through the cues in the order of the file and knows who spoke last.
type settler struct {
	src     *source
	names   *nameFinder
	cast    cast
	pieces  []said
	speaker int      // who spoke last
	parts   []string // what speaker has said within this cue so far
}

// readCue adds what is said in a cue. openEnded says that the file may end within the cue, cut that it does.
func (s *settler) readCue(cue rawCue, spans []span, openEnded, cut bool) {
	before := len(s.pieces)
	for _, span := range spans {
		if span.voiced {
			s.switchTo(span.voice, cue)
			if span.voice == "" {
				s.src.warn(cue.line, WarnSpeakerMissing)
			}
			if text := collapse(span.text); text != "" {
				s.parts = append(s.parts, text)
			}
		} else {
			cut = s.readLines(cue, span.text, openEnded) || cut
		}
	}
	s.flush(cue)
	if len(s.pieces) > before {
		s.pieces[before].bound = cue.bound
	}
	switch {
	case cut:
		s.src.warn(len(s.src.lines)-1, WarnTruncated)
	case len(s.pieces) == before:
		s.src.warn(cue.line, WarnEmptyCue)
	case len(s.pieces) > before+1:
		s.src.warn(cue.line, WarnSpeakersShareCue)
	}
}

// readLines reads text that no voice tag names the speaker of; any of its lines may. cut says that it ends within a name.
func (s *settler) readLines(cue rawCue, text string, openEnded bool) (cut bool) {
	first := true
	for line := range strings.SplitSeq(text, "\n") {
		line = collapse(line)
		if line == "" {
			continue
		}
		name, words, named := s.names.split(line)
		switch {
		case named:
			s.switchTo(name, cue)
			cut = openEnded && words == ""
		case first && openEnded && s.names.isFragment(line):
			cut, words = true, ""
		case first && s.names.some && s.speaker == unknown:
			s.src.warn(cue.line, WarnSpeakerMissing)
		case first && s.names.some:
			s.src.warn(cue.line, WarnSpeakerAssumed)
		}
		if words != "" {
			s.parts = append(s.parts, words)
			cut = false
		}
		first = false
	}
	return cut
}

// switchTo makes name the speaker from here on.
func (s *settler) switchTo(name string, cue rawCue) {
	if speaker := s.cast.index(name, cue.line); speaker != s.speaker {
		s.flush(cue)
		s.speaker = speaker
	}
}

// flush closes the piece that is being read.
func (s *settler) flush(cue rawCue) {
	if len(s.parts) > 0 {
		s.pieces = append(s.pieces, said{line: cue.line, start: cue.start, end: cue.end, speaker: s.speaker, text: strings.Join(s.parts, " ")})
		s.parts = s.parts[:0]
	}
}

// breaksOff tells whether the last text breaks off without punctuation in a file whose texts seldom do. It is all that a
// cut within a text leaves to see: many whole files have no line end after their last line either.
func breaksOff(pieces []said) bool {
	const (
		fewest       = 5 // less is no habit
		usualPercent = 80
	)
	n := len(pieces) - 1
	if n < fewest || endsPunctuated(pieces[n].text) {
		return false
	}
	punctuated := 0
	for _, p := range pieces[:n] {
		if endsPunctuated(p.text) {
			punctuated++
		}
	}
	return punctuated*100 >= n*usualPercent
}

func endsPunctuated(text string) bool {
	r, _ := utf8.DecodeLastRuneInString(text)
	return strings.ContainsRune(`.?!…,;:-–—")]»”’。？！`, r)
}
