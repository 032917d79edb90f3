package format

import "strings"

// detectText asks for names that recur, or that begin every other line: one `Usage: …` makes no conversation.
func detectText(src *source) confidence {
	if _, timed := firstTiming(src); timed {
		return no
	}
	if first := src.firstText(); first < len(src.lines) && isWebVTTHeader(src.lines[first]) {
		return no
	}
	names := namesOfLines(src)
	named := 0
	for _, l := range src.lines {
		if _, _, ok := names.split(collapse(l)); ok {
			named++
		}
	}
	if names.some && (names.repeats() || named*2 >= names.lines) {
		return possible
	}
	return no
}

// parseText reads `Name: text`. A line that names nobody goes on with the line before it; after a blank line it is an
// utterance of its own, by the same speaker. Entities and tags are text here: nobody escapes what is not markup.
func parseText(src *source) (*Document, error) {
	names := namesOfLines(src)
	var who cast
	var pieces []said
	var parts []string // of the utterance that is being read
	speaker, began := unknown, 0
	flush := func() {
		if len(parts) > 0 {
			pieces = append(pieces, said{line: began, speaker: speaker, text: strings.Join(parts, " ")})
		}
		parts = nil
	}
	named := -1        // the line that named the speaker, until there are words
	paragraph := false // a blank line stands before this one
	empty := func() {
		if named >= 0 {
			src.warn(named, WarnEmptyCue)
		}
		named = -1
	}
	for i, line := range src.lines {
		line = collapse(line)
		if line == "" {
			paragraph = true
			continue
		}
		name, words, ok := names.split(line)
		switch {
		case ok:
			flush()
			empty()
			speaker, began, named = who.index(name), i, i
		case len(parts) == 0 && named < 0, paragraph && len(parts) > 0:
			flush()
			began = i
			if names.some && speaker == unknown {
				src.warn(i, WarnSpeakerMissing)
			} else if names.some {
				src.warn(i, WarnSpeakerAssumed)
			}
		}
		if words != "" {
			parts = append(parts, words)
			named = -1
		}
		paragraph = false
	}
	flush()
	empty()
	if len(pieces) == 0 {
		return nil, invalid(CodeNoCues, "the file names speakers, but none of them says a word")
	}
	if !names.some {
		src.warn(pieces[0].line, WarnSpeakersMissing)
	}

	doc := &Document{Speakers: who.spoken(pieces), Utterances: make([]Utterance, 0, len(pieces))}
	for _, p := range pieces {
		doc.Utterances = append(doc.Utterances, Utterance{Speaker: p.speaker, Text: p.text})
	}
	return doc, nil
}

// namesOfLines finds the names in a file that has nothing but lines.
func namesOfLines(src *source) *nameFinder {
	f := newNameFinder()
	for _, l := range src.lines {
		if l = collapse(l); l != "" {
			f.see(l)
		}
	}
	f.decide()
	return f
}
