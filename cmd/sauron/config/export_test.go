package config

// A Spelling is one setting's name in each of its spellings.
type Spelling struct {
	Flag, Variable, Key string
	OnFlag              bool
}

// Spellings returns the names of all settings that there are.
func Spellings() []Spelling {
	var c Config
	var names []Spelling
	for _, s := range c.settings() {
		names = append(names, Spelling{Flag: "--" + s.name, Variable: s.variable(), Key: s.key(), OnFlag: s.onFlag})
	}
	return names
}
