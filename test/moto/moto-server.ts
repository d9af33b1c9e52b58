import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll } from 'vitest'
import { firstLineOf, installPython } from './python.ts'

/** The version whose answers the tests know. */
const motoPackage = 'moto[server]==5.2.5'
const answerMsMax = 120_000
/** The packages are some thousand files, and a disk may be slow. */
const removeMsMax = 120_000

/** A running moto server, or why there is none. */
export type Moto =
  | { readonly isRunning: true; readonly endpoint: string }
  | { readonly isRunning: false; readonly reason: string }

/**
 * Starts the moto server that `MOTO_SERVER` names, or one from PyPI in a folder of its own. It ends
 * with the tests of the file.
 */
export async function startMoto(): Promise<Moto> {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-moto-'))
  const removeFolder = () => rmSync(folder, { recursive: true, force: true })
  try {
    const command =
      process.env['MOTO_SERVER'] ??
      path.join(await installPython(folder, motoPackage), 'moto_server')
    const port = await freePort()
    const server = spawn(command, ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' })
    // Rejects when the process cannot be started.
    const ended = once(server, 'exit')
    afterAll(async () => {
      server.kill()
      await ended.catch(() => undefined)
      removeFolder()
    }, removeMsMax)
    const failed = ended.then(() => {
      throw new Error('moto_server has ended')
    })
    const endpoint = `http://127.0.0.1:${port}`
    await Promise.race([answered(endpoint), failed])
    return { isRunning: true, endpoint }
  } catch (thrown) {
    removeFolder()
    return { isRunning: false, reason: firstLineOf(thrown) }
  }
}

/** A port that the operating system has just given: moto cannot say which one it took. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function answered(endpoint: string): Promise<void> {
  const giveUp = AbortSignal.timeout(answerMsMax)
  for (;;) {
    giveUp.throwIfAborted()
    const response = await fetch(`${endpoint}/moto-api/`, { signal: giveUp }).catch(() => undefined)
    if (response?.ok) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
