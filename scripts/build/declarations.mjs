// The type declarations of what `import ... from 'sluice-iot'` gives, and of nothing else.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const specifier = /(?<=\bfrom |\bimport\()'([^']+)'/g
const comment = /\/\*[\s\S]*?\*\//g

/**
 * Writes dist/types/, which index.d.ts begins.
 *
 * @throws Error when the compiler finds one, or when a declaration needs a package: those of the
 *   bundle are not installed where it is used
 */
export function writeDeclarations(root) {
  const folder = path.join(root, 'dist/types')
  const compiler = path.join(root, 'node_modules/typescript/bin/tsc')
  const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (status !== 0) throw new Error('the type declarations cannot be made')
  const needed = reachable(path.join(folder, 'index.d.ts'))
  rmSync(folder, { recursive: true })
  for (const [file, text] of needed) {
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
}

/** @returns path -> text of a declaration and of all that it imports */
function reachable(first) {
  const texts = new Map()
  const waiting = [first]
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (texts.has(file)) continue
    const text = readFileSync(file, 'utf8')
    for (const [, name] of text.replaceAll(comment, '').matchAll(specifier)) {
      if (name.startsWith('node:')) continue
      if (!name.startsWith('.')) throw new Error(`the type declarations import ${name}: ${file}`)
      waiting.push(path.resolve(path.dirname(file), name.replace(/\.ts$/, '.d.ts')))
    }
    texts.set(
      file,
      text.replace(specifier, (quoted) => quoted.replace(/\.ts'$/, ".js'")),
    )
  }
  return texts
}
