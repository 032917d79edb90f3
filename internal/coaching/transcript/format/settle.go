package format

import (
	"strings"
	"unicode/utf8"
)

// said is what one speaker says within one cue: the piece that utterances are made of.
type said struct {
	line       int // index in the file
	start, end int64
	speaker    int // index into the speakers, or unknown
	text       string
}

const unknown = -1

// document settles who speaks, puts the cues in order and merges them.
func (r *cueReader) document() (*Document, error) {
	if len(r.cues) == 0 {
		return nil, invalid(CodeNoCues, "the file has no cues")
	}
	pieces, speakers := r.settle()
	if len(pieces) == 0 {
		return nil, invalid(CodeNoCues, "the file has cues, but there are no words in them")
	}
	if r.src.open && breaksOff(pieces) {
		r.src.warn(len(r.src.lines)-1, WarnTruncated)
	}
	sortByStart(pieces, r.src)
	return &Document{Language: r.language, Speakers: speakers, Utterances: merge(pieces)}, nil
}

// settle finds the speaker of every cue, and splits the cues in which several speak.
func (r *cueReader) settle() ([]said, []string) {
	spans, bounds, cut := r.spans()
	s := &settler{src: r.src, names: namesIn(spans), speaker: unknown, pieces: make([]said, 0, len(r.cues))}
	for i, cue := range r.cues {
		// Only a last line without end can be the beginning of something.
		last := i == len(r.cues)-1
		s.readCue(cue, spans[bounds[i]:bounds[i+1]], last && r.src.open, last && cut)
	}
	if len(s.cast.names) == 0 && len(s.pieces) > 0 {
		r.src.warn(s.pieces[0].line, WarnSpeakersMissing)
	}
	return s.pieces, s.cast.spoken(s.pieces)
}

// spans gives the spans of all cues in one slice; those of cue i are spans[bounds[i]:bounds[i+1]]. cut says that the last
// cue ends within a tag.
func (r *cueReader) spans() (spans []span, bounds []int, cut bool) {
	spans = make([]span, 0, len(r.cues))
	bounds = make([]int, 1, len(r.cues)+1)
	for i, cue := range r.cues {
		spans, cut = appendSpans(spans, strings.Join(cue.payload, "\n"), r.src.open && i == len(r.cues)-1)
		bounds = append(bounds, len(spans))
	}
	return spans, bounds, cut
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
			if s.speaker == unknown {
				s.src.warn(cue.line, WarnSpeakerMissing)
			}
			s.parts = append(s.parts, collapse(span.text))
		} else {
			cut = s.readLines(cue, span.text, openEnded) || cut
		}
	}
	s.flush(cue)
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
	if speaker := s.cast.index(name); speaker != s.speaker {
		s.flush(cue)
		s.speaker = speaker
	}
}

// flush closes the piece that is being read.
func (s *settler) flush(cue rawCue) {
	if len(s.parts) > 0 {
		s.pieces = append(s.pieces, said{cue.line, cue.start, cue.end, s.speaker, strings.Join(s.parts, " ")})
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
