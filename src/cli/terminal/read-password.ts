import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { SluiceError } from '../../base/errors.ts'
import type { Host, Input } from './host.ts'

/** More is no line of a password: a file that was given by mistake is not read to its end. */
const inputCharactersMax = 65_536

/**
 * A password: typed twice, unseen, on a terminal; else the first line of standard input.
 *
 * @throws SluiceError InvalidRequestException: given up, or not typed the same twice
 */
export async function readPassword(host: Host, user: string): Promise<string> {
  if (!host.stdin.isTTY) return readFirstLine(host.stdin)
  const [password, again] = await askUnseen(host, [`Password of ${user}: `, 'Once more: '])
  if (password !== again) throw refused('the two passwords differ')
  return password ?? ''
}

async function readFirstLine(input: Input): Promise<string> {
  let text = ''
  for await (const chunk of input.setEncoding('utf8')) {
    text += String(chunk)
    if (text.includes('\n') || text.length > inputCharactersMax) break
  }
  return text.split(/\r?\n/, 1)[0] ?? ''
}

/** One reader for all questions: what was typed ahead of the second is its answer. */
async function askUnseen(host: Host, questions: readonly string[]): Promise<string[]> {
  const unseen = new Writable({ write: (_chunk, _encoding, done) => done() })
  const reader = createInterface({
    input: host.stdin,
    output: unseen,
    terminal: true,
    historySize: 0,
  })
  reader.once('SIGINT', () => reader.close())
  const lines = reader[Symbol.asyncIterator]()
  const answers: string[] = []
  for (const question of questions) {
    host.stderr.write(question)
    const line = await lines.next()
    host.stderr.write('\n')
    if (line.done) throw refused('no password was given; nothing has changed')
    answers.push(line.value)
  }
  reader.close()
  return answers
}

function refused(message: string): SluiceError {
  return new SluiceError('InvalidRequestException', message)
}
