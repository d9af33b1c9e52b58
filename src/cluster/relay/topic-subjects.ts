/**
 * Topics of MQTT as subjects of NATS, so that the servers carry a message only to nodes that want
 * it. A level becomes a token: letters, digits, `-` and `_` stand for themselves, each other byte
 * of UTF-8 as `=` and two hexadecimal digits, and `=` alone is an empty level.
 *
 * Subjects may match more than the filter does: `#` and `+` match topics that begin with `$` there.
 * Whoever receives looks at the filter again.
 */

/** Longer ones make a subject for all topics that are as long, and want everything as filters. */
const subjectLengthMax = 1_000

/** @param prefix of all subjects of a cluster, without a dot at its end */
export function subjectOfTopic(prefix: string, topic: string): string {
  const subject = `${prefix}.t.${topic.split('/').map(tokenOf).join('.')}`
  return subject.length > subjectLengthMax ? `${prefix}.long` : subject
}

/** What matches all topics of a cluster. */
export const everySubject = (prefix: string): string => `${prefix}.>`

/** The subjects, with wildcards of NATS, of all topics that a filter matches. */
export function subjectsOfFilter(prefix: string, filter: string): readonly string[] {
  const levels = filter.split('/')
  const isOpen = levels.at(-1) === '#'
  const tokens = (isOpen ? levels.slice(0, -1) : levels).map((level) =>
    level === '+' ? '*' : tokenOf(level),
  )
  const subject = [`${prefix}.t`, ...tokens].join('.')
  if (subject.length > subjectLengthMax) return [everySubject(prefix)]
  // `a/#` matches `a`, too; `>` stands for one token at least.
  const subjects = isOpen ? [`${subject}.>`, ...(tokens.length > 0 ? [subject] : [])] : [subject]
  const hasWildcard = isOpen || levels.includes('+')
  return hasWildcard ? [...subjects, `${prefix}.long`] : subjects
}

function tokenOf(level: string): string {
  if (level === '') return '='
  if (plain.test(level)) return level
  return [...Buffer.from(level)].map(characterOf).join('')
}

const plain = /^[\w-]+$/

function characterOf(byte: number): string {
  const character = String.fromCharCode(byte)
  return plain.test(character) ? character : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`
}
