// Of some packages only a part is used, and the rest of their index would come with it: esbuild
// takes it that loading a file may do something, unless the package says that it does not.

/** Packages whose files do nothing when they are loaded but define what they export. */
const packages = ['@platformatic/kafka']

/** A plugin for esbuild: files of these packages from which nothing is used are left out. */
export function usedParts() {
  const name = 'used-parts'
  const isInside = new RegExp(`[\\\\/]node_modules[\\\\/](${packages.join('|')})[\\\\/]`)
  return {
    name,
    setup({ onResolve, resolve }) {
      onResolve(
        { filter: /^(\.|@platformatic\/kafka$)/ },
        async ({ path, pluginData, ...from }) => {
          const isOne = packages.includes(path) || isInside.test(`${from.resolveDir}/`)
          if (pluginData === name || !isOne) return undefined
          const { kind, importer, resolveDir, namespace } = from
          const options = { kind, importer, resolveDir, namespace, pluginData: name }
          return { ...(await resolve(path, options)), sideEffects: false }
        },
      )
    },
  }
}
