package local

import "github.com/viterin/vek/vek32"

// matrix is numbers in rows, each step after the one before; rows are in numbers long.
type matrix struct {
	at       []float32
	rows, in int
	step     int
}

func (m matrix) row(i int) []float32 { return m.at[i*m.step : i*m.step+m.in] }

// block is how many rows of x meet the rows of m before the next of m are fetched: so many stay in the processor's nearest memory.
const block = 24

// multiply computes the product of each row of x with each row of m: out[t][r], with so many numbers from one t to the next.
func multiply(out []float32, outStep int, m, x matrix) {
	for from := 0; from < x.rows; from += block {
		to, r := min(from+block, x.rows), 0
		if eight && m.in%8 == 0 {
			for ; r+4 <= m.rows; r += 4 {
				t := from
				for ; t+2 <= to; t += 2 {
					dot8(&out[t*outStep+r], outStep, &m.at[r*m.step], m.step, &x.at[t*x.step], x.step, m.in)
				}
				if t < to {
					dot8(&out[t*outStep+r], 0, &m.at[r*m.step], m.step, &x.at[t*x.step], 0, m.in) // one, twice
				}
			}
		}
		for ; r < m.rows; r++ {
			for t := from; t < to; t++ {
				out[t*outStep+r] = vek32.Dot(m.row(r), x.row(t))
			}
		}
	}
}
