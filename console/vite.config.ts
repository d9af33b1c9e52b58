import { defineConfig } from 'vite'
import type { Plugin } from 'vite'
import { functionHelp } from '../src/sql/functions/function-help.ts'
import { functionTable } from '../src/sql/functions/table.ts'
import { castKeywords } from '../src/sql/values/conversions.ts'

const moduleName = 'virtual:sql-words'

/**
 * The functions and types of AWS IoT SQL for the editor, from the tables of the engine itself. Only
 * the data is taken, because the tables import the whole language.
 */
const sqlWords: Plugin = {
  name: 'sql-words',
  resolveId: (id) => (id === moduleName ? `\0${moduleName}` : undefined),
  load(id) {
    if (id !== `\0${moduleName}`) return undefined
    const functions = [...functionTable.values()].map(({ name, sinceVersion: since }) => {
      const [parameters, help] = functionHelp[name] ?? ['', '']
      return { name, since, parameters: parameters === '' ? [] : parameters.split(', '), help }
    })
    const types = [...castKeywords.keys()]
    return `export const functions = ${JSON.stringify(functions)}
export const types = ${JSON.stringify(types)}`
  },
}

/** Builds the console into dist/console, which the HTTP port serves at /console/. */
export default defineConfig({
  root: import.meta.dirname,
  base: '/console/',
  plugins: [sqlWords],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../dist/console',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
})
