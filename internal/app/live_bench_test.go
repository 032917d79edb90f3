package app_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
)

// BenchmarkLiveHour is what an utterance costs in CPU at the beginning of an hour of 1,200 and at its end: with measures and nudges, GraphQL and
// HTTP, and the client that sends it, but without PostgreSQL, which is another process.
func BenchmarkLiveHour(b *testing.B) {
	env := apptest.Demo(b)
	coach := env.Login(b, apptest.Coach)
	texts := []string{
		"What would help you to say no the next time that he asks?", "I will write to Tomasz about the salary by Friday, I think.", "Mm-hmm.",
		"It was the third evening this week, and I am tired of it, to be honest with you.",
	}
	const part = 100
	for b.Loop() {
		session := listening(b, env)
		for at := 0; at < 1_200; at += part {
			sql(b, env, `UPDATE live_sessions SET allowance = NULL`)
			before := consumed(b)
			for n := at; n < at+part; n++ {
				who := []string{"Ruth Calloway", "Amara Okafor"}[n%2]
				utter(b, coach, session, chunk(fmt.Sprint(n), who, texts[(n/2+n%2)%4], float64(n)*3, float64(n)*3+2.6))
			}
			each := float64((consumed(b) - before).Microseconds()) / part
			switch at {
			case 0:
				b.ReportMetric(each, "µs-cpu/first")
			case 1_200 - part:
				b.ReportMetric(each, "µs-cpu/last")
			}
		}
	}
}

// consumed is the CPU time that this process has used.
func consumed(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
