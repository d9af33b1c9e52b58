/** What is wrong with a text that is no JSON, and where, as far as the browser says it. */
export function jsonProblemOf(thrown: unknown, text: string): string {
  const { message } = thrown as Error
  const position = /at position (\d+)/.exec(message)?.[1]
  const at = position === undefined ? text.length : Number(position)
  const before = text.slice(0, at)
  const line = before.split('\n').length
  const column = at - before.lastIndexOf('\n')
  const [problem = message] = message.split(/ in JSON at position | at position |, "/, 1)
  return `line ${line}, column ${column}: ${problem}`
}
