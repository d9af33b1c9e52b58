import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const installMsMax = 300_000

/**
 * Installs a package of PyPI, with a Python of its own.
 *
 * @returns the folder of its commands
 */
export async function installPython(folder: string, requirement: string): Promise<string> {
  const environment = path.join(folder, 'python')
  const commands = path.join(environment, 'bin')
  const options = { timeout: installMsMax }
  await run('python3', ['-m', 'venv', environment], options)
  await run(path.join(commands, 'pip'), ['install', '--quiet', '--no-input', requirement], options)
  return commands
}

/** Why something could not be installed, for the name of a skipped test. */
export function firstLineOf(thrown: unknown): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return message.trim().split('\n').slice(0, 2).join(': ')
}
