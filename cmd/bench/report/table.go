package report

import "strings"

// A table is a Markdown table.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// String returns the table's text, with an empty line behind.
func (t *table) String() string {
	var b strings.Builder
	write := func(cells []string) {
		b.WriteByte('|')
		for i := range t.head {
			cell := ""
			if i < len(cells) {
				cell = strings.ReplaceAll(strings.ReplaceAll(cells[i], "|", `\|`), "\n", " ")
			}
			b.WriteString(" " + cell + " |")
		}
		b.WriteByte('\n')
	}
	write(t.head)
	b.WriteByte('|')
	for range t.head {
		b.WriteString(" --- |")
	}
	b.WriteByte('\n')
	for _, row := range t.rows {
		write(row)
	}
	b.WriteByte('\n')
	return b.String()
}
