/** A command block of a document, as a reader sees it. */
export interface CommandBlock {
  /** Line of its first command in the document, from 1. */
  readonly line: number
  readonly text: string
  /** What stands between it and the block before it. */
  readonly proseBefore: string
  readonly commands: readonly string[]
}

/** Languages of blocks that are not typed into a shell. A tag that is not here is a shell's. */
const otherLanguages =
  /^(json|js|mjs|ts|hcl|yaml|yml|toml|ini|python|py|go|java|rust|sql|text|diff|http|mermaid)\b/

/** The blocks of a document in Markdown that a reader types into a shell, in order. */
export function commandBlocksOf(markdown: string): readonly CommandBlock[] {
  const blocks: CommandBlock[] = []
  let prose: string[] = []
  let open: { indent: string; language: string; line: number; lines: string[] } | undefined
  for (const [index, line] of markdown.split('\n').entries()) {
    const [, indent = '', language] = /^(\s*)```(.*)$/.exec(line) ?? []
    if (language === undefined) {
      if (open) open.lines.push(line.replace(open.indent, ''))
      else prose.push(line)
    } else if (!open) {
      open = { indent, language, line: index + 2, lines: [] }
    } else {
      if (!otherLanguages.test(open.language)) {
        const text = open.lines.join('\n')
        const proseBefore = prose.join('\n')
        blocks.push({ line: open.line, text, proseBefore, commands: commandsOf(text) })
        prose = []
      }
      open = undefined
    }
  }
  return blocks
}

/** The commands of a block: a line each, with those that continue it. */
export function commandsOf(text: string): readonly string[] {
  const commands: string[] = []
  let command: string[] = []
  for (const line of text.split('\n')) {
    // A console's prompt is not typed.
    command.push(command.length === 0 ? line.replace(/^\$ /, '') : line)
    const typed = command.join('\n')
    if (isUnfinished(typed)) continue
    if (!/^\s*(#.*)?$/.test(typed)) commands.push(typed)
    command = []
  }
  if (command.length > 0) commands.push(command.join('\n'))
  return commands
}

/** Whether a shell would wait for another line: a quote, a here-document or `\` at the end. */
function isUnfinished(typed: string): boolean {
  const [, end] = /<<-?\s*['"]?(\w+)['"]?/.exec(typed) ?? []
  if (end !== undefined) return !typed.split('\n').slice(1).includes(end)
  return typed.endsWith('\\') || hasOpenQuote(typed)
}

function hasOpenQuote(typed: string): boolean {
  let quote: string | undefined
  for (let at = 0; at < typed.length; at += 1) {
    const character = typed[at]
    if (character === '\\' && quote !== "'") at += 1
    else if (quote === undefined) {
      if (character === "'" || character === '"') quote = character
      // A comment reaches to the end of its line, whatever quotes stand in it.
      else if (character === '#' && /^$|\s/.test(typed[at - 1] ?? '')) {
        at = typed.indexOf('\n', at)
        if (at === -1) return false
      }
    } else if (character === quote) quote = undefined
  }
  return quote !== undefined
}
