import { afterAll } from 'vitest'
import { endFile } from './at-the-end.ts'

/**
 * Runs for each test file. A hook in a module that files share would run for the first of them
 * alone, because they share one process.
 */
afterAll(endFile)
