// Tells when CronWorkflows run, by the very calls that Argo's controller makes.
//
// Reads a line for each question, with tabs between: the time zone (or nothing), the expression,
// and the first and the last second to look at (Unix time). Writes a line for each answer: the
// seconds of the runs with spaces between, or "refused: " and the reason.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // as the controller has it

	"github.com/robfig/cron/v3"
)

func main() {
	resync := flag.Duration("resync", 20*time.Minute,
		"how often the controller takes every CronWorkflow up anew (cronWorkflowResyncPeriod); 0 for never")
	flag.Parse()
	lines := bufio.NewScanner(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	for lines.Scan() {
		question := strings.Split(lines.Text(), "\t")
		if len(question) != 4 {
			log.Fatalf("%q has not four parts", question)
		}
		fmt.Fprintln(out, answer(question[0], question[1], second(question[2]), second(question[3]), *resync))
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

func second(text string) time.Time {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	// The images of Argo have no local time zone.
	return time.Unix(seconds, 0).UTC()
}

func answer(zone, expression string, first, last time.Time, resync time.Duration) string {
	// CronWorkflowSpec.withTimezone
	if zone != "" {
		expression = "CRON_TZ=" + zone + " " + expression
	}
	schedule, err := cron.ParseStandard(expression)
	if err != nil {
		return "refused: " + err.Error()
	}
	var runs []string
	for _, run := range between(schedule, first, last, resync) {
		runs = append(runs, strconv.FormatInt(run.Unix(), 10))
	}
	return strings.Join(runs, " ")
}

// between does what Cron.run does with one entry. An entry that is taken up anew (Controller.
// processNextCronItem) counts from that moment, and so does one that has just run.
func between(schedule cron.Schedule, first, last time.Time, resync time.Duration) (runs []time.Time) {
	now, anew := first, last
	if resync > 0 {
		anew = first.Add(resync)
	}
	for {
		next := schedule.Next(now)
		switch {
		case !next.IsZero() && !next.After(anew) && !next.After(last):
			runs = append(runs, next)
			now = next
		case anew.Before(last):
			now = anew
			anew = anew.Add(resync)
		default:
			return runs
		}
	}
}
