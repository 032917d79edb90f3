package format

import (
	"strconv"
	"strings"
)

// jsonShape is how one product writes its transcripts. The first shape of the table that fits is taken.
type jsonShape struct {
	product string
	path    string                       // of the list of what is said, from any object that is not in a list itself; "" is a list at the top
	beside  []string                     // one of them must stand beside the first step of the path; none: nothing must
	each    []string                     // all of them must be in the list's first element
	unit    float64                      // of times that are numbers; 0 if it is not told
	read    func(*jsonReader, jsonValue) // nil: every element is an utterance
}

// jsonShapes lists the shapes. docs/formats.md shows them.
func jsonShapes() []jsonShape {
	assembly := []string{"audio_url", "audio_duration", "acoustic_model", "speech_model", "speech_models", "language_model"}
	whisper := []string{"avg_logprob", "no_speech_prob"}
	return []jsonShape{
		{product: "aws-transcribe", path: "results.channel_labels.channels", each: []string{"items"}, unit: seconds, read: readAWSChannels},
		{product: "aws-transcribe", path: "results.items", each: []string{"alternatives", "type"}, unit: seconds, read: readAWSItems},
		{product: "deepgram", path: "results.utterances", each: []string{"transcript"}, unit: seconds},
		{product: "deepgram", path: "results.channels", each: []string{"alternatives"}, unit: seconds, read: readDeepgramChannels},
		{product: "otter", path: "transcripts", each: []string{"transcript", "start_offset"}, unit: otterSample, read: readOtter},
		{product: "fireflies", path: "sentences", each: []string{"speaker_name", "text"}, unit: seconds},
		{product: "fireflies", path: "", each: []string{"speaker_name", "sentence"}, unit: seconds},
		{product: "assemblyai", path: "utterances", beside: assembly, each: []string{"text"}, unit: milliseconds},
		{product: "assemblyai", path: "words", beside: assembly, each: []string{"text"}, unit: milliseconds, read: readWords},
		{product: "whisper", path: "transcription", each: []string{"offsets", "text"}, unit: milliseconds, read: readWhisperCpp},
		{product: "whisperx", path: "segments", beside: []string{"word_segments"}, each: []string{"text"}, unit: seconds},
		{product: "whisper", path: "segments", each: append(whisper, "text"), unit: seconds},
		{product: "whisper", path: "segments", beside: []string{"task"}, each: []string{"text"}, unit: seconds},
		{product: "whisper", path: "words", beside: []string{"task"}, each: []string{"word"}, unit: seconds, read: readWords},
		{product: "fathom", path: "transcript", each: []string{"speaker", "text", "timestamp"}},
		{product: "meet", path: "transcriptEntries", each: []string{"participant", "text"}},
		{product: "grain", path: "", each: []string{"participant_id", "text"}, unit: milliseconds},
		{product: "grain", path: "transcript", each: []string{"participant_id", "text"}, unit: milliseconds},
	}
}

// detectJSON is certain of what begins as an object or a list of them does, unless it is a line above a paragraph that does.
func detectJSON(src *source) confidence {
	text := strings.TrimLeft(src.text, " \t\r\n")
	inner := strings.TrimLeft(text[min(1, len(text)):], " \t\r\n")
	object := strings.HasPrefix(text, "{") && (inner == "" || strings.IndexByte(`"}`, inner[0]) >= 0)
	array := strings.HasPrefix(text, "[") && (inner == "" || strings.IndexByte("{[]", inner[0]) >= 0)
	if !object && !array {
		return no
	}
	line, _, _ := strings.Cut(text[:min(len(text), maxStampBytes)], "\n")
	if stampOf(line).form != stampNone {
		return no
	}
	return certain
}

// jsonReader reads the records of one list.
type jsonReader struct {
	recordReader
	root   jsonValue
	parent jsonValue // the object that the list's path begins in
	fields map[string]field
	at     int // offset up to which lines have been counted
	line   int
}

// parseJSON reads the JSON of products that it knows, and any list of objects with words in which somebody is named or a
// time is told.
func parseJSON(src *source) (*Document, error) {
	text, err := scanJSON(src.text)
	if err != nil {
		return nil, err
	}
	r := &jsonReader{recordReader: recordReader{src: src}, root: jsonValue{text, 0}, fields: map[string]field{}}
	r.language = r.languageIn(r.root)
	if isRapport(r.root) {
		return r.readRapport()
	}
	if int(r.root.node().next) < len(text.nodes) { // JSON Lines: the objects are the list
		for root := range text.roots() {
			r.readUtterance(root)
		}
		return r.finish()
	}
	for _, shape := range jsonShapes() {
		if parent, list := shape.find(r.root); list.exists() {
			r.parent, r.unit, r.product = parent, shape.unit, shape.product
			if shape.read == nil {
				shape.read = readUtterances
			}
			shape.read(r, list)
			return r.finish()
		}
	}
	list := r.findList(r.root)
	if !list.exists() {
		return nil, invalid(CodeUnknownFormat, "the JSON holds no transcript that can be read: expected is a list of objects with the "+
			"words in text, transcript, sentence or content, who says them in speaker, speaker_name or name, and when in start, "+
			"start_time or timestamp and end or end_time")
	}
	readUtterances(r, list)
	return r.finish()
}

func (r *jsonReader) finish() (*Document, error) {
	if len(r.records) == 0 {
		return nil, invalid(CodeNoCues, "the JSON has a list of what was said, but there are no words in it")
	}
	return r.document()
}

// find looks for the shape's list, from the top and in objects within objects: people keep whole answers of an API.
func (s jsonShape) find(v jsonValue) (parent, list jsonValue) {
	if s.path == "" {
		if s.fits(v) {
			return v, v
		}
		return
	}
	const levels = 4
	return s.findWithin(v, strings.Split(s.path, "."), levels)
}

func (s jsonShape) findWithin(v jsonValue, path []string, levels int) (parent, list jsonValue) {
	if v.kind() != '{' || levels == 0 {
		return
	}
	if found := v.member(path...); s.fits(found) && hasAny(v, s.beside) {
		return v, found
	}
	for m := range v.values() {
		if parent, list = s.findWithin(m, path, levels-1); list.exists() {
			return parent, list
		}
	}
	return
}

// fits tells whether a value is a list whose first element has all that it must.
func (s jsonShape) fits(list jsonValue) bool {
	first := list.first()
	for _, name := range s.each {
		if !first.member(name).exists() {
			return false
		}
	}
	return first.exists()
}

func hasAny(v jsonValue, names []string) bool {
	for _, name := range names {
		if v.member(name).exists() {
			return true
		}
	}
	return len(names) == 0
}

// findList looks for a list that nobody knows, whose objects have words and a speaker or a time: the one with the most
// words, for an answer may also list topics and what is to be done.
func (r *jsonReader) findList(v jsonValue) jsonValue {
	best, most := jsonValue{}, 0
	var search func(jsonValue)
	search = func(v jsonValue) {
		if size := r.wordsIn(v); size > most {
			best, most = v, size
		} else if size == 0 {
			for m := range v.values() {
				search(m)
			}
		}
	}
	search(v)
	return best
}

// wordsIn is how many bytes of words a list has, 0 if it is none of what was said.
func (r *jsonReader) wordsIn(list jsonValue) int {
	if list.kind() != '[' {
		return 0
	}
	size, who := 0, false
	for e := range list.values() {
		if e.kind() != '{' {
			return 0
		}
		for m := range e.values() {
			switch f := r.field(m); {
			case f.part == partText && m.kind() == '"':
				size += len(m.plain())
			case f.part != partNone && f.part != partText && m.kind() != 'n':
				who = true
			}
		}
	}
	if !who {
		return 0
	}
	return size
}

// field is what a member stands for; names recur, so they are looked up once.
func (r *jsonReader) field(m jsonValue) field {
	n := m.node()
	name := m.text[n.key:n.keyEnd]
	f, known := r.fields[name]
	if !known {
		f = fieldOf(m.name())
		r.fields[name] = f
	}
	return f
}

// languageIn finds the language that a file names somewhere outside of its lists.
func (r *jsonReader) languageIn(v jsonValue) string {
	if v.kind() != '{' {
		return ""
	}
	for m := range v.values() {
		switch m.name() {
		case "language", "language_code", "languageCode", "lang", "transcript_language", "detected_language":
			if s, _ := m.string(); s != "" && languageTag(s) != "" {
				return languageTag(s)
			}
		}
	}
	for m := range v.values() {
		if found := r.languageIn(m); found != "" {
			return found
		}
	}
	return ""
}

// lineOf counts lines from where it counted last: values are met in the order of the file.
func (r *jsonReader) lineOf(v jsonValue) int {
	at := v.offset()
	if at < r.at {
		r.at, r.line = 0, 0
	}
	between := r.src.text[r.at:at]
	r.line += strings.Count(between, "\n")
	if strings.IndexByte(between, '\r') >= 0 {
		r.line += strings.Count(between, "\r") - strings.Count(between, "\r\n")
	}
	r.at = at
	return r.line
}

// words is the text of a string.
func (r *jsonReader) words(v jsonValue) string {
	s, dropped := v.string()
	if dropped {
		r.src.warn(r.lineOf(v), WarnControlsRemoved)
	}
	return s
}

// who is the name in a speaker: a string, a number, or an object with one of them.
func (r *jsonReader) who(v jsonValue) string {
	if v.kind() == '{' {
		for _, name := range []string{"display_name", "displayName", "name", "speaker_name", "label", "id"} {
			if m := v.member(name); m.plain() != "" {
				return labelled(m.plain())
			}
		}
		return ""
	}
	return labelled(v.plain())
}

// readUtterances reads a list in which every element is an utterance.
func readUtterances(r *jsonReader, list jsonValue) {
	for e := range list.values() {
		r.readUtterance(e)
	}
}

// readUtterance reads one object by the names of its members.
func (r *jsonReader) readUtterance(e jsonValue) {
	if e.kind() != '{' {
		return
	}
	rec := record{line: r.lineOf(e)}
	var ranks [partText + 1]int
	for m := range e.values() {
		f := r.field(m)
		if f.part == partNone || ranks[f.part] > 0 && ranks[f.part] <= f.rank || m.kind() == 'n' {
			continue
		}
		var s string
		switch {
		case f.part == partSpeaker:
			s = r.who(m)
		case f.part == partText:
			s = r.words(m)
		case m.kind() == '{':
			s = m.member("relative").plain() // Recall: {"relative": 1.2, "absolute": …}
		default:
			s = m.plain()
		}
		if s == "" && m.kind() != '"' || s == "" && f.part == partSpeaker {
			continue
		}
		ranks[f.part] = f.rank
		rec.set(f.part, s, f.unit)
	}
	if rec.speaker == "" { // WhisperX leaves it out of a segment whose words have one
		rec.speaker = r.who(e.member("words").first().member("speaker"))
	}
	rec.close()
	r.records = append(r.records, rec)
}

// readWords reads a list in which every element is a word.
func readWords(r *jsonReader, list jsonValue) {
	j := &wordJoiner{to: &r.recordReader}
	for e := range list.values() {
		before := len(r.records)
		r.readUtterance(e)
		if len(r.records) == before {
			continue
		}
		w := r.records[before]
		r.records = r.records[:before]
		j.add(w.line, w.speaker, w.text, w.start.in(r.unit), w.end.in(r.unit), false)
	}
	j.flush()
}

// readDeepgramChannels reads the words of each channel, if the answer has no utterances.
func readDeepgramChannels(r *jsonReader, channels jsonValue) {
	index := 0
	several := channels.node().next > channels.first().node().next
	for channel := range channels.values() {
		first := len(r.records)
		readWords(r, channel.member("alternatives").first().member("words"))
		for i := first; several && i < len(r.records); i++ {
			if r.records[i].speaker == "" {
				r.records[i].speaker = "Channel " + strconv.Itoa(index)
			}
		}
		index++
	}
	r.sorted = several
}

// otterSample is the unit of Otter's offsets: a sample of audio at 16 kHz.
const otterSample = 1.0 / 16

// readOtter reads what Otter's own pages load. Speakers are looked up in a list beside; who is not there has a number.
func readOtter(r *jsonReader, list jsonValue) {
	names := map[string]string{}
	for s := range r.parent.member("speakers").values() {
		name, _ := s.member("speaker_name").string()
		names[s.member("id").plain()] = name
	}
	for e := range list.values() {
		rec := record{line: r.lineOf(e), text: r.words(e.member("transcript"))}
		rec.set(partStart, e.member("start_offset").plain(), r.unit)
		rec.set(partEnd, e.member("end_offset").plain(), r.unit)
		rec.speaker = names[e.member("speaker_id").plain()]
		for _, label := range []string{"speaker_name", "speaker_model_label", "label"} {
			if rec.speaker == "" {
				rec.speaker = labelled(e.member(label).plain())
			}
		}
		r.records = append(r.records, rec)
	}
}

// readWhisperCpp reads what whisper.cpp writes.
func readWhisperCpp(r *jsonReader, list jsonValue) {
	for e := range list.values() {
		rec := record{line: r.lineOf(e), text: r.words(e.member("text")), speaker: r.who(e.member("speaker"))}
		rec.set(partStart, e.member("offsets", "from").plain(), r.unit)
		rec.set(partEnd, e.member("offsets", "to").plain(), r.unit)
		r.records = append(r.records, rec)
	}
}

// readAWSItems reads words and punctuation. Older files name the speaker not with the word but in a list beside, by its time.
func readAWSItems(r *jsonReader, items jsonValue) {
	j := &wordJoiner{to: &r.recordReader}
	r.readAWS(j, items, r.awsSpeakers(), "")
	j.flush()
}

// readAWSChannels reads one channel after the other.
func readAWSChannels(r *jsonReader, channels jsonValue) {
	speakers := r.awsSpeakers()
	several := channels.node().next > channels.first().node().next
	for channel := range channels.values() {
		label := ""
		if several {
			label = channel.member("channel_label").plain()
		}
		j := &wordJoiner{to: &r.recordReader}
		r.readAWS(j, channel.member("items"), speakers, label)
		j.flush()
	}
	r.sorted = several
}

// readAWS joins the items of one channel.
func (r *jsonReader) readAWS(j *wordJoiner, items jsonValue, speakers map[string]string, channel string) {
	speaker := channel
	for e := range items.values() {
		var word string
		var start, end jsonValue
		mark := false
		label := ""
		for m := range e.values() {
			switch m.name() {
			case "alternatives":
				word = r.words(m.first().member("content"))
			case "start_time":
				start = m
			case "end_time":
				end = m
			case "speaker_label":
				label = m.plain()
			case "type":
				mark = m.plain() == "punctuation"
			}
		}
		if label == "" {
			label = speakers[start.plain()]
		}
		switch {
		case mark: // belongs to the word before, whoever is said to say it
		case label != "" && channel != "":
			speaker = channel + " " + label
		case label != "":
			speaker = label
		}
		j.add(r.lineOf(e), speaker, word, momentOf(start.plain()).in(r.unit), momentOf(end.plain()).in(r.unit), mark)
	}
}

// awsSpeakers is who speaks by the time of the word, if the words do not say it.
func (r *jsonReader) awsSpeakers() map[string]string {
	results := r.parent.member("results")
	if results.member("items").first().member("speaker_label").exists() {
		return nil
	}
	segments := results.member("speaker_labels", "segments")
	if !segments.exists() {
		return nil
	}
	const valuesOfItem = 4
	speakers := make(map[string]string, (segments.node().next-segments.at)/valuesOfItem)
	for segment := range segments.values() {
		label := segment.member("speaker_label").plain()
		for item := range segment.member("items").values() {
			speakers[item.member("start_time").plain()] = label
		}
	}
	return speakers
}
