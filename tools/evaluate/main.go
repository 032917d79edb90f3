// Evaluate compares what Rapport makes of conversations with what human annotators made of them: `make evaluate`.
//
// It reads a CSV of annotated conversations in the columns of AnnoMI (Wu et al. 2022, 2023), codes them as the product does,
// and prints agreement with 95 % intervals; with -format json the last line is JSON. docs/analysis.md explains the figures. With -llm openai a
// language model reads instead of the rules, on the account of RAPPORT_OPENAI_API_KEY.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"

	"github.com/rapporthq/rapport/internal/platform/config"
)

const (
	minResamples = 1000
	seed         = 20260101 // fixed, so that the same file gives the same intervals
)

func main() {
	if err := run(os.Args[1:], os.LookupEnv, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "evaluate: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, env config.Lookup, stdout io.Writer) error {
	flags := flag.NewFlagSet("evaluate", flag.ContinueOnError)
	file := flags.String("data", "", "the annotated conversations, a CSV")
	format := flags.String("format", "text", "text, or json for a last line of JSON as well")
	resamples := flags.Int("resamples", 2000, "how many resamples of the videos the intervals rest on")
	model := flags.String("llm", "", "openai to have a language model read, instead of the built-in rules")
	spend := flags.Float64("spend", 5, "how many US dollars that may cost")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case *file == "" || flags.NArg() > 0:
		return fmt.Errorf("which file? usage: make evaluate DATA=<csv> [FORMAT=json] [LLM=openai [SPEND=<dollars>]]")
	case *format != "text" && *format != "json":
		return fmt.Errorf("the format is text or json, not %q", *format)
	case *model != "" && *model != "openai":
		return fmt.Errorf("the language model is openai, not %q", *model)
	case !(*spend > 0) || math.IsInf(*spend, 0): // NaN is above nothing
		return fmt.Errorf("SPEND is an amount of US dollars above 0, not %v", *spend)
	case *resamples < minResamples:
		return fmt.Errorf("intervals need at least %d resamples, not %d", minResamples, *resamples)
	}

	f, err := os.Open(*file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no file %s: name another by DATA=<csv>, with annotated conversations in the columns of AnnoMI (docs/analysis.md)", *file)
	} else if err != nil {
		return err
	}
	by := reader(byRules{})
	if *model != "" {
		asked, err := atOpenAI(context.Background(), env, *spend)
		if err != nil {
			return errors.Join(err, f.Close())
		}
		by = asked
	}
	defer f.Close()
	talks, err := read(f)
	if err != nil {
		return fmt.Errorf("%s: %w", *file, err)
	}
	videos, err := judge(context.Background(), talks, by)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(stdout)
	fmt.Fprintf(out, "read by %s\n", by.about())
	all, err := report(out, *file, videos, *resamples)
	if err != nil {
		return err
	}
	if *format == "json" {
		if err := writeJSON(out, all); err != nil {
			return err
		}
	}
	return out.Flush()
}
