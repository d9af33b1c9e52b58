import path from 'node:path'
import { dataDirDefaults } from '../../config/config.ts'
import { readRunningEngine } from '../../app/running-engine.ts'
import type { RunningEngine } from '../../app/running-engine.ts'
import type { Host } from '../terminal/host.ts'

/** Where a lab or an engine of this machine keeps its data: as the environment says, or both. */
export function dataFoldersOf({ environment }: Host): readonly string[] {
  // As elsewhere, an empty variable counts as not set.
  const given = environment['SLUICE_DATA_DIR'] || undefined
  const folders = given === undefined ? Object.values(dataDirDefaults) : [given]
  return folders.map((folder) => path.resolve(folder))
}

/**
 * The lab that runs on this machine, else the engine, as far as they are looked for.
 *
 * A state file that is damaged is told in one line and counts as absent.
 */
export async function findRunningEngine(
  host: Host,
  isWanted: (engine: RunningEngine) => boolean = () => true,
): Promise<RunningEngine | undefined> {
  for (const folder of dataFoldersOf(host)) {
    const engine = await readRunningEngine(folder, (line) => host.stderr.write(`${line}\n`))
    if (engine && isWanted(engine)) return engine
  }
  return undefined
}
