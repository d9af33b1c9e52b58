/** A child process: opens the data folder named on its command line and holds it until killed. */
import { openDataFolder } from '../../src/storage/data-folder.ts'

const folder = await openDataFolder(process.argv[2] ?? '', 'engine')
process.stdout.write(`holding ${folder.directory}\n`)
setInterval(() => undefined, 60_000)
