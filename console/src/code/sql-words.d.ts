/** Made by console/vite.config.ts from the tables of the engine. */
declare module 'virtual:sql-words' {
  export interface SqlFunctionWords {
    readonly name: string
    readonly since: string
    /** `end?` may be left out, `value...` may be repeated. */
    readonly parameters: readonly string[]
    readonly help: string
  }
  export const functions: readonly SqlFunctionWords[]
  /** The types of `cast`, in lower case. */
  export const types: readonly string[]
}
