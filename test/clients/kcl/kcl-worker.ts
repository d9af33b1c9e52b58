import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll } from 'vitest'
import { followChild } from '../../helpers/child-process.ts'
import type { Child } from '../../helpers/child-process.ts'
import { firstLineOf } from '../../moto/python.ts'

const run = promisify(execFile)
const installMsMax = 300_000
const sources = fileURLToPath(new URL('.', import.meta.url))

/** The Kinesis Client Library, or why it cannot be had. */
export type Kcl =
  | {
      readonly isThere: true
      /** @param release the way of sharing that the worker follows: that of KCL 2 or of KCL 3 */
      start(where: KclPlace, release: 2 | 3): Child
    }
  | { readonly isThere: false; readonly reason: string }

export interface KclPlace {
  readonly kinesis: string
  readonly dynamodb: string
  /** The name of the lease table. */
  readonly application: string
}

/** Installs the library with Maven, and compiles the worker, for the tests of one file. */
export async function installKcl(): Promise<Kcl> {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-kcl-'))
  const jars = process.env['KCL_JARS'] ?? path.join(folder, 'jars')
  const classes = path.join(folder, 'classes')
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const options = { timeout: installMsMax, cwd: sources }
  // What the library logs, when someone looks for it.
  const { KCL_LOG: logFile } = process.env
  const log = logFile === undefined ? 'ignore' : openSync(logFile, 'a')
  try {
    if (!process.env['KCL_JARS']) {
      const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${jars}`]
      await run('mvn', ['-q', '-B', ...goal], options)
    }
    const source = path.join(sources, 'KclWorker.java')
    const classPath = path.join(jars, '*')
    await run('javac', ['-proc:none', '-cp', classPath, '-d', classes, source], options)
    return {
      isThere: true,
      start: ({ kinesis, dynamodb, application }, release) =>
        followChild(
          spawn(
            'java',
            [
              '-Xmx256m',
              '-XX:TieredStopAtLevel=1',
              '-Dorg.slf4j.simpleLogger.showDateTime=true',
              '-cp',
              [classes, classPath].join(path.delimiter),
              'KclWorker',
              kinesis,
              dynamodb,
              application,
              String(release),
            ],
            { stdio: ['ignore', 'pipe', log] },
          ),
        ),
    }
  } catch (thrown) {
    return { isThere: false, reason: firstLineOf(thrown) }
  }
}
