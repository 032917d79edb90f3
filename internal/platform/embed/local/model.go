package local

import (
	_ "embed"
	"encoding/binary"
	"math"

	"github.com/viterin/vek/vek32"
)

// The shape of the model.
const (
	width     = 384  // of what it knows of a piece
	wide      = 1536 // of what it makes of it in between
	layers    = 6
	heads     = 12
	head      = width / heads
	known     = 30522 // pieces
	positions = 512
	epsilon   = 1e-12
)

// weights are the model's, in the order in which unpack reads them.
//
//go:embed weights.bin
var weights string

// model is the model, unpacked. What it knows of each piece stays as it is stored: of 30,522 rows a text needs a few.
type model struct {
	pieces    rounded
	positions []float32
	kind      []float32 // of a text that stands alone
	first     norming
	layers    [layers]layer
}

type layer struct {
	query, key, value, mix, up, down linear
	afterMix, afterDown              norming
}

// linear is a matrix, a row for each number that it makes, and what is added.
type linear struct {
	rows, add []float32
	in        int
}

type norming struct{ times, add []float32 }

// rounded is a matrix of eight bits a number: a scale for each row, and the rows.
type rounded struct {
	scales []float32
	rows   string
	in     int
}

func (m rounded) row(i int, into []float32) {
	scale := m.scales[i]
	for j, b := range []byte(m.rows[i*m.in : (i+1)*m.in]) {
		into[j] = float32(int8(b)) * scale
	}
}

func (m rounded) unpacked() []float32 {
	all := make([]float32, len(m.rows))
	for i := range m.scales {
		m.row(i, all[i*m.in:(i+1)*m.in])
	}
	return all
}

// reader takes weights off the front.
type reader string

func (r *reader) take(n int) string {
	taken := (*r)[:n]
	*r = (*r)[n:]
	return string(taken)
}

func (r *reader) floats(n int) []float32 {
	raw, all := []byte(r.take(4*n)), make([]float32, n)
	for i := range all {
		all[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return all
}

func (r *reader) rounded(rows, in int) rounded {
	return rounded{scales: r.floats(rows), rows: r.take(rows * in), in: in}
}

func (r *reader) linear(rows, in int) linear {
	return linear{rows: r.rounded(rows, in).unpacked(), add: r.floats(rows), in: in}
}

func (r *reader) norming() norming { return norming{r.floats(width), r.floats(width)} }

func unpack() *model {
	r := reader(weights)
	m := &model{pieces: r.rounded(known, width), positions: r.rounded(positions, width).unpacked(), kind: r.floats(width), first: r.norming()}
	for i := range m.layers {
		m.layers[i] = layer{
			query: r.linear(width, width), key: r.linear(width, width), value: r.linear(width, width),
			mix: r.linear(width, width), afterMix: r.norming(),
			up: r.linear(wide, width), down: r.linear(width, wide), afterDown: r.norming(),
		}
	}
	return m
}

// scratch is where a text is computed.
type scratch struct{ x, query, key, value, mixed, out, high, turned, attention []float32 }

func newScratch() *scratch {
	of := func(n int) []float32 { return make([]float32, n) }
	const n = Window * width
	return &scratch{x: of(n), query: of(n), key: of(n), value: of(n), mixed: of(n), out: of(n), turned: of(n), high: of(Window * wide), attention: of(Window * Window)}
}

// forward computes the vector of a text: six times, each piece looks at all others and is thought over; then the mean of all, of length 1.
// That of a text without a piece is zero.
func (m *model) forward(text []int32, s *scratch) []float32 {
	n, vector := len(text), make([]float32, width)
	if n <= 2 {
		return vector
	}
	x := s.x[:n*width]
	for t, piece := range text {
		row := x[t*width : (t+1)*width]
		m.pieces.row(int(piece), row)
		vek32.Add_Inplace(row, m.positions[t*width:(t+1)*width])
		vek32.Add_Inplace(row, m.kind)
	}
	m.first.apply(x)
	for i := range m.layers {
		l := &m.layers[i]
		l.attend(x, n, s)
		vek32.Add_Inplace(x, s.out[:n*width])
		l.afterMix.apply(x)
		l.up.apply(s.high[:n*wide], x)
		bend(s.high[:n*wide])
		l.down.apply(s.out[:n*width], s.high[:n*wide])
		vek32.Add_Inplace(x, s.out[:n*width])
		l.afterDown.apply(x)
	}
	for t := range n {
		vek32.Add_Inplace(vector, x[t*width:(t+1)*width])
	}
	vek32.MulNumber_Inplace(vector, 1/float32(math.Sqrt(float64(vek32.Dot(vector, vector)))))
	return vector
}

// attend computes into s.out what the pieces make of each other.
func (l *layer) attend(x []float32, n int, s *scratch) {
	l.query.apply(s.query[:n*width], x)
	l.key.apply(s.key[:n*width], x)
	l.value.apply(s.value[:n*width], x)
	padded := (n + 7) / 8 * 8 // with zeros, so that rows of pieces are whole eights
	for d := range width {    // turned, so that what is added up lies side by side
		row := s.turned[d*padded : (d+1)*padded]
		for t := range n {
			row[t] = s.value[t*width+d]
		}
		clear(row[n:])
	}
	shrink := float32(1 / math.Sqrt(head))
	for from := 0; from < width; from += head {
		multiply(s.attention, padded, matrix{s.key[from:], n, head, width}, matrix{s.query[from:], n, head, width})
		for t := range n {
			a := s.attention[t*padded : (t+1)*padded]
			vek32.MulNumber_Inplace(a[:n], shrink)
			share(a[:n])
			clear(a[n:])
		}
		multiply(s.mixed[from:], width, matrix{s.turned[from*padded:], head, padded, padded}, matrix{s.attention, n, padded, padded})
	}
	l.mix.apply(s.out[:n*width], s.mixed[:n*width])
}

// apply multiplies each row of x.
func (l linear) apply(out, x []float32) {
	makes, n := len(l.add), len(x)/l.in
	multiply(out, makes, matrix{l.rows, makes, l.in, l.in}, matrix{x, n, l.in, l.in})
	for ; len(out) > 0; out = out[makes:] {
		vek32.Add_Inplace(out[:makes], l.add)
	}
}

// apply gives each row a mean of zero and a deviation of one, and then what it learned.
func (n norming) apply(x []float32) {
	for ; len(x) > 0; x = x[width:] {
		row := x[:width]
		vek32.SubNumber_Inplace(row, vek32.Sum(row)/width)
		vek32.MulNumber_Inplace(row, float32(1/math.Sqrt(float64(vek32.Dot(row, row)/width)+epsilon)))
		vek32.Mul_Inplace(row, n.times)
		vek32.Add_Inplace(row, n.add)
	}
}

// share makes parts of a whole of numbers (softmax).
func share(a []float32) {
	most, sum := vek32.Max(a), float32(0)
	for i, x := range a {
		e := float32(math.Exp(float64(x - most)))
		a[i], sum = e, sum+e
	}
	vek32.MulNumber_Inplace(a, 1/sum)
}

// The curve of bend (gelu) between -reach and reach, as a table: it is asked for 9,000 times a piece, and the function of errors is slow. Between the
// entries it is straight, and nowhere more than 0.000001 off; beyond them it is 0 or the number itself.
const (
	reach   = 6
	entries = 8192
)

var curve = func() (c [entries + 2]float32) {
	for i := range c {
		x := float64(i)*2*reach/entries - reach
		c[i] = float32(x * 0.5 * (1 + math.Erf(x/math.Sqrt2)))
	}
	return c
}()

func bend(x []float32) {
	for i, v := range x {
		switch {
		case v <= -reach:
			x[i] = 0
		case v < reach:
			at := (v + reach) * (entries / (2.0 * reach))
			j := int(at)
			x[i] = curve[j] + (at-float32(j))*(curve[j+1]-curve[j])
		}
	}
}
