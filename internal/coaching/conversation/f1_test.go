package conversation_test

import "fmt"

// f1 compares a detector with annotations.
type f1 struct{ hit, falseAlarm, miss, quiet int }

func (f *f1) add(got, want bool) {
	switch {
	case got && want:
		f.hit++
	case got:
		f.falseAlarm++
	case want:
		f.miss++
	default:
		f.quiet++
	}
}

func (f f1) score() float64 {
	return 2 * float64(f.hit) / float64(2*f.hit+f.falseAlarm+f.miss)
}

func (f f1) String() string {
	return fmt.Sprintf("precision %.3f, recall %.3f, F1 %.3f (n=%d)", float64(f.hit)/float64(f.hit+f.falseAlarm),
		float64(f.hit)/float64(f.hit+f.miss), f.score(), f.hit+f.falseAlarm+f.miss+f.quiet)
}
