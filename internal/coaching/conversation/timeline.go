package conversation

const (
	maxBuckets  = 20
	minBucketMs = 60_000
)

// timeline measures equal parts of the session.
func (h *heard) timeline() []TimelineBucket {
	if !h.timed || h.duration == nil {
		return nil
	}
	l := timeline{origin: h.origin, duration: *h.duration, n: min(maxBuckets, max(1, *h.duration/minBucketMs))}
	speech := make([]int64, l.n) // ms in which anybody speaks
	talk := make([]int64, l.n)   // ms of talk of everybody, added up
	coach, client := make([]share, l.n), make([]share, l.n)
	of := func(speaker int) []share {
		switch {
		case h.has(speaker, RoleCoach):
			return coach
		case h.has(speaker, RoleClient):
			return client
		}
		return nil
	}
	for i := range h.spoken {
		u := &h.spoken[i]
		if !u.timed {
			continue
		}
		mine := of(u.speaker)
		l.spread(u.new, u.end, func(b int64, ms int64) { speech[b] += ms })
		l.spread(u.own, u.end, func(b int64, ms int64) {
			talk[b] += ms
			if mine != nil {
				mine[b].ms += ms
			}
		})
		if mine != nil {
			l.spread(u.start, u.end, func(b int64, ms int64) { mine[b].words += float64(u.words) * float64(ms) / float64(u.end-u.start) })
		}
	}
	for i := range h.turns {
		mine := of(h.turns[i].speaker)
		if mine == nil {
			continue
		}
		h.eachQuestion(&h.turns[i], func(endMs int64) { mine[l.bucket(endMs-1)].questions++ })
	}
	_, coaches := h.sum(RoleCoach)
	_, clients := h.sum(RoleClient)
	buckets := make([]TimelineBucket, l.n)
	for i := range buckets {
		b := &buckets[i]
		b.StartMs, b.EndMs = l.edge(int64(i)), l.edge(int64(i)+1)
		if h.pausesKnown() {
			b.SilenceShare = ratio(b.EndMs-b.StartMs-speech[i], b.EndMs-b.StartMs)
		}
		if coaches > 0 {
			b.Coach = h.bucketVoice(&coach[i], talk[i])
		}
		if clients > 0 {
			b.Client = h.bucketVoice(&client[i], talk[i])
		}
	}
	return buckets
}

// share is what a role has in a part of the session.
type share struct {
	ms        int64
	words     float64
	questions int
}

func (h *heard) bucketVoice(s *share, talk int64) *BucketVoice {
	v := &BucketVoice{TalkMs: s.ms, TalkShareOfSpeech: ratio(s.ms, talk), WordsPerMinute: perMinute(s.words, s.ms)}
	if h.quality.WordingAvailable {
		v.QuestionCount = &s.questions
	}
	return v
}

// eachQuestion yields when the questions of a turn end, as far as there are times.
func (h *heard) eachQuestion(t *turn, yield func(endMs int64)) {
	part, before := 0, 0 // before: words of the parts before
	for _, words := range t.asked {
		for before+h.spoken[t.parts[part]].words < words {
			before += h.spoken[t.parts[part]].words
			part++
		}
		if u := &h.spoken[t.parts[part]]; u.timed {
			yield(u.start + (u.end-u.start)*int64(words-before)/int64(u.words))
		}
	}
}

// timeline cuts a duration into n parts of equal length.
type timeline struct{ origin, duration, n int64 }

// edge is where part i begins.
func (l timeline) edge(i int64) int64 { return l.origin + l.duration*i/l.n }

// bucket is the part that a time lies in; what lies outside belongs to the first or the last.
func (l timeline) bucket(ms int64) int64 {
	i := min(l.n-1, max(0, (ms-l.origin)*l.n/l.duration))
	if i+1 < l.n && l.edge(i+1) <= ms {
		i++ // edges are rounded down
	}
	return i
}

// spread yields how many milliseconds of an interval lie in which parts.
func (l timeline) spread(from, to int64, yield func(bucket, ms int64)) {
	for from < to {
		b := l.bucket(from)
		end := to
		if b+1 < l.n {
			end = min(to, l.edge(b+1))
		}
		yield(b, end-from)
		from = end
	}
}
