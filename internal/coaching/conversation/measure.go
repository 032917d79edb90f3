package conversation

import "strings"

const (
	minTimedShare    = 0.95 // of the utterances must be timed for shares to be measured in time
	minEnglishWords  = 100  // below, the words do not tell their language
	minEnglishShare  = 0.3  // of the words are function words in any English talk; in other languages far fewer look like one
	minFillersPer100 = 0.1  // filled pauses, below which somebody has left them out
	msPerMinute      = 60_000
)

// Measure computes the metrics of a conversation. It is pure and does not change its arguments.
func Measure(talk Talk) Metrics {
	h := hear(talk)
	m := Metrics{
		DefinitionVersion:   DefinitionVersion,
		Basis:               BasisWords,
		DurationMs:          h.duration,
		InteractivityPerMin: h.interactivity(),
		ReflectionEvidence:  h.reflectionEvidence(),
		Dyad:                h.dyad(),
		Speakers:            make([]SpeakerMetrics, len(h.Speakers)),
		Coach:               h.role(RoleCoach),
		Client:              h.role(RoleClient),
		Timeline:            h.timeline(),
		Quality:             h.quality,
	}
	if h.timed {
		m.Basis = BasisTime
	}
	if h.pausesKnown() && h.duration != nil {
		m.SilenceShare = h.silence()
	}
	for i, s := range h.Speakers {
		m.Speakers[i] = SpeakerMetrics{Speaker: i, Role: s.Role, VoiceMetrics: h.voice(h.tallies[i])}
	}
	return m
}

// heard is a talk made ready for measuring.
type heard struct {
	Talk
	spoken      []speech
	runs        []turn
	interrupted []int // by run
	turns       []turn
	quality     DataQuality
	timed       bool   // the basis is time
	origin      int64  // where the duration begins
	duration    *int64 // nil if unknown
	tallies     []tally
	all         tally
}

func hear(talk Talk) *heard {
	h := &heard{Talk: talk, spoken: spokenOf(len(talk.Speakers), talk.Utterances)}
	h.quality = h.timing()
	h.timed = h.quality.ShareWithEndTimes != nil && *h.quality.ShareWithEndTimes >= minTimedShare
	h.span()
	h.runs = runsOf(h.spoken)
	h.quality.OverlapsAvailable = overlap(h.runs)
	h.turns = turnsOf(h.runs)
	h.interrupted = interruptionsOf(h.runs)
	h.tallies = h.tallyOf()
	for i := range h.tallies {
		h.all.add(&h.tallies[i])
	}
	words := h.all.turnWords
	h.quality.WordingAvailable = words > 0 && isEnglish(talk.Language) &&
		(talk.Language != "" || words < minEnglishWords || *ratio(h.all.function, words) >= minEnglishShare)
	h.quality.FillersAvailable = h.quality.WordingAvailable && *per100(h.all.fillers, words) >= minFillersPer100
	return h
}

func isEnglish(language string) bool {
	primary, _, _ := strings.Cut(strings.ToLower(language), "-")
	return primary == "" || primary == "en" || primary == "eng"
}

// timing judges times and roles of what was spoken.
func (h *heard) timing() DataQuality {
	q := DataQuality{UtteranceCount: len(h.spoken)}
	withTimes, withRole, until := 0, 0, int64(-1)
	for i := range h.spoken {
		u := &h.spoken[i]
		if u.speaker != nobody && h.Speakers[u.speaker].known() {
			withRole++
		}
		if u.timed {
			withTimes++
			q.PausesAvailable = q.PausesAvailable || until >= 0 && u.start > until
			until = max(until, u.end)
		}
	}
	q.ShareWithEndTimes = ratio(withTimes, len(h.spoken))
	q.ShareWithKnownRole = ratio(withRole, len(h.spoken))
	return q
}

// span finds out where the session begins and how long it is.
func (h *heard) span() {
	given := h.SessionMs
	if given != nil && *given <= 0 {
		given = nil
	}
	if !h.timed {
		h.duration = given
		return
	}
	var first, last int64 = -1, 0
	for i := range h.spoken {
		if u := &h.spoken[i]; u.timed {
			if first < 0 {
				first = u.start
			}
			last = max(last, u.end)
		}
	}
	if given != nil {
		first, last = 0, max(last, *given)
	}
	if d := last - first; d > 0 {
		h.origin, h.duration = first, &d
	}
}

// pausesKnown tells whether silence can be told from what nobody has written down.
func (h *heard) pausesKnown() bool { return h.timed && h.quality.PausesAvailable }

// overlapsKnown tells whether the recorder lets voices overlap.
func (h *heard) overlapsKnown() bool { return h.timed && h.quality.OverlapsAvailable }

func (h *heard) reflectionEvidence() *Evidence {
	if !h.quality.WordingAvailable {
		return nil
	}
	evidence := EvidenceWording
	if h.Reflects != nil {
		evidence = EvidenceCodes
	}
	return &evidence
}

func (h *heard) silence() *float64 {
	var speech int64
	for i := range h.spoken {
		if u := &h.spoken[i]; u.timed {
			speech += u.end - u.new
		}
	}
	return ratio(*h.duration-speech, *h.duration)
}

func (h *heard) interactivity() *float64 {
	if h.duration == nil || len(h.turns) == 0 {
		return nil
	}
	switches := 0
	for i := 1; i < len(h.turns); i++ {
		if h.turns[i].speaker != h.turns[i-1].speaker {
			switches++
		}
	}
	return perMinute(float64(switches), *h.duration)
}

// ratio is nil for a part of nothing.
func ratio[N int | int64](part, whole N) *float64 {
	if whole == 0 {
		return nil
	}
	r := float64(part) / float64(whole)
	return &r
}

func per100(count, words int) *float64 {
	return ratio(100*count, words)
}

// perMinute is nil without time.
func perMinute(count float64, ms int64) *float64 {
	if ms == 0 {
		return nil
	}
	r := count / (float64(ms) / msPerMinute)
	return &r
}
