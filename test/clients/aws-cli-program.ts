import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll } from 'vitest'

const run = promisify(execFile)
const installMsMax = 300_000

/** The folder of the AWS CLI's program, or why there is none. */
export type AwsCli =
  | { readonly isThere: true; readonly folder: string | undefined }
  | { readonly isThere: false; readonly reason: string }

/** The AWS CLI of this machine, without a folder, or one from PyPI for the tests of a file. */
export async function findAwsCli(): Promise<AwsCli> {
  const found = await run('aws', ['--version']).catch(() => undefined)
  if (found) return { isThere: true, folder: undefined }
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-aws-cli-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  try {
    await run('python3', ['-m', 'venv', folder], { timeout: installMsMax })
    const pip = path.join(folder, 'bin', 'pip')
    await run(pip, ['install', '--quiet', '--no-input', 'awscli'], { timeout: installMsMax })
    return { isThere: true, folder: path.join(folder, 'bin') }
  } catch (thrown) {
    const [line = ''] = String(thrown).trim().split('\n')
    return { isThere: false, reason: line }
  }
}

/** The environment of a program that calls a service with the AWS CLI. */
export function awsCliEnvironment(cli: AwsCli): NodeJS.ProcessEnv {
  const folder = cli.isThere ? cli.folder : undefined
  return {
    ...process.env,
    PATH: [folder, process.env['PATH']].filter((part) => part !== undefined).join(path.delimiter),
    AWS_ACCESS_KEY_ID: 'any',
    AWS_SECRET_ACCESS_KEY: 'any',
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_MAX_ATTEMPTS: '1',
  }
}
