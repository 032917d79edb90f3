package conversation

import "slices"

const (
	minTimedShare = 0.95 // of the utterances must be timed for shares to be measured in time
	minOverlapMs  = 300  // below, two voices touch rather than overlap
	msPerMinute   = 60_000.0
)

// Measure computes the metrics of a conversation. It is pure and does not change its arguments.
//
// The utterances may be in any order if they have times. An utterance whose Speaker is not an index into the speakers
// is nobody's: it counts as speech and as data quality, and to no speaker. sessionMs is the length of the recording or
// the session in milliseconds, nil if unknown.
func Measure(speakers []Speaker, utterances []Utterance, sessionMs *int64) Metrics {
	spoken := spokenOf(len(speakers), utterances)
	quality := qualityOf(speakers, spoken)
	m := Metrics{DefinitionVersion: DefinitionVersion, Basis: BasisWords, Quality: quality}
	if share := quality.ShareWithEndTimes; share != nil && *share >= minTimedShare {
		m.Basis = BasisTime
	}
	timed := m.Basis == BasisTime

	runs := runsOf(spoken)
	turns := turnsOf(runs)
	m.DurationMs = durationOf(spoken, sessionMs, timed)
	m.InteractivityPerMin = interactivity(turns, m.DurationMs)
	if timed && quality.PausesAvailable {
		m.SilenceShare = silenceShare(spoken, m.DurationMs)
		m.PatienceMs = latency(speakers, turns, RoleClient, RoleCoach)
		m.ResponseLatencyMs = latency(speakers, turns, RoleCoach, RoleClient)
	}

	tallies := tallyOf(len(speakers), spoken, turns)
	var all tally
	for _, t := range tallies {
		all.add(t)
	}
	m.Speakers = make([]SpeakerMetrics, len(speakers))
	for i, s := range speakers {
		r := tallies[i].metrics(all, m.Basis, m.DurationMs)
		m.Speakers[i] = SpeakerMetrics{
			Speaker: i, Role: s.Role,
			TalkMs: r.TalkMs, TalkShareOfSpeech: r.TalkShareOfSpeech, TalkShareOfSession: r.TalkShareOfSession,
			TurnCount: r.TurnCount, WordCount: r.WordCount, MeanTurnWords: r.MeanTurnWords,
			WordsPerMinute: r.WordsPerMinute, LongestMonologueMs: r.LongestMonologueMs,
			QuestionCount: r.QuestionCount, QuestionRate: r.QuestionRate,
		}
	}
	m.Coach = roleMetrics(RoleCoach, speakers, tallies, all, m.Basis, m.DurationMs)
	m.Client = roleMetrics(RoleClient, speakers, tallies, all, m.Basis, m.DurationMs)
	return m
}

func roleMetrics(role Role, speakers []Speaker, tallies []tally, all tally, basis Basis, duration *int64) *RoleMetrics {
	var sum tally
	count := 0
	for i, s := range speakers {
		if s.Role == role {
			sum.add(tallies[i])
			count++
		}
	}
	if count == 0 {
		return nil
	}
	r := sum.metrics(all, basis, duration)
	r.SpeakerCount = count
	return &r
}

// qualityOf expects the utterances in order of time.
func qualityOf(speakers []Speaker, spoken []speech) DataQuality {
	q := DataQuality{UtteranceCount: len(spoken)}
	withTimes, withRole := 0, 0
	// Two voices: the one that ends last so far, and the last end of any other.
	lastSpeaker, lastEnd, otherEnd := nobody, int64(-1), int64(-1)
	for _, u := range spoken {
		if u.speaker != nobody && speakers[u.speaker].known() {
			withRole++
		}
		if !u.timed {
			continue
		}
		withTimes++
		if lastEnd >= 0 && u.start > lastEnd {
			q.PausesAvailable = true
		}
		against := lastEnd
		if u.speaker == lastSpeaker {
			against = otherEnd
		}
		if against >= 0 && min(against, u.end)-u.start >= minOverlapMs {
			q.OverlapsAvailable = true
		}
		switch {
		case u.end <= lastEnd:
			if u.speaker != lastSpeaker {
				otherEnd = max(otherEnd, u.end)
			}
		case u.speaker == lastSpeaker:
			lastEnd = u.end
		default:
			lastSpeaker, lastEnd, otherEnd = u.speaker, u.end, lastEnd
		}
	}
	if len(spoken) > 0 {
		q.ShareWithEndTimes = ratio(withTimes, len(spoken))
		q.ShareWithKnownRole = ratio(withRole, len(spoken))
	}
	return q
}

func durationOf(spoken []speech, sessionMs *int64, timed bool) *int64 {
	if sessionMs != nil && *sessionMs <= 0 {
		sessionMs = nil
	}
	if !timed {
		return sessionMs
	}
	var first, last int64 = -1, 0
	for _, u := range spoken {
		if u.timed {
			if first < 0 {
				first = u.start
			}
			last = max(last, u.end)
		}
	}
	d := last - first
	if sessionMs != nil {
		d = max(*sessionMs, last)
	}
	if d <= 0 {
		return nil
	}
	return &d
}

func silenceShare(spoken []speech, duration *int64) *float64 {
	if duration == nil {
		return nil
	}
	var union, heard int64 // heard: up to where speech is counted already
	for _, u := range spoken {
		if u.timed && u.end > heard {
			union += u.end - max(u.start, heard)
			heard = u.end
		}
	}
	share := 1 - float64(union)/float64(*duration)
	return &share
}

func interactivity(turns []turn, duration *int64) *float64 {
	if duration == nil || len(turns) == 0 {
		return nil
	}
	switches := 0
	for i := 1; i < len(turns); i++ {
		if turns[i].speaker != turns[i-1].speaker {
			switches++
		}
	}
	perMin := float64(switches) / (float64(*duration) / msPerMinute)
	return &perMin
}

// latency collects max(0, next.start − prev.end) where a turn of the role from is followed by one of the role to.
// Back-channels that stayed turns of their own are stepped over: "mm-hmm" is not the answer that was waited for.
func latency(speakers []Speaker, turns []turn, from, to Role) *Quantiles {
	var gaps []int64
	var prev *turn
	for i := range turns {
		t := &turns[i]
		if t.backchannel || t.speaker == nobody {
			continue
		}
		if prev != nil && prev.timed && t.timed &&
			speakers[prev.speaker].Role == from && speakers[t.speaker].Role == to {
			gaps = append(gaps, max(0, t.start-prev.end))
		}
		prev = t
	}
	if len(gaps) == 0 {
		return nil
	}
	slices.Sort(gaps)
	return &Quantiles{Count: len(gaps), Median: nearestRank(gaps, 50), P90: nearestRank(gaps, 90)}
}

// nearestRank is the smallest value that at least percent of the sorted values do not exceed.
func nearestRank(sorted []int64, percent int) int64 {
	return sorted[(len(sorted)*percent+99)/100-1]
}

func ratio(part, whole int) *float64 {
	r := float64(part) / float64(whole)
	return &r
}
