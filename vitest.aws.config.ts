import { defineConfig, mergeConfig } from 'vitest/config'
import config, { awsClientTests } from './vitest.config.ts'

/**
 * `npm run test:aws`: what the actions bring about in the services of moto, and operations of ours
 * as AWS's own clients call them.
 */
export default mergeConfig(
  { ...config, test: { ...config.test, projects: undefined } },
  // The names of skipped tests say why they are.
  defineConfig({
    test: { include: ['test/moto/**/*.test.ts', ...awsClientTests], reporters: ['verbose'] },
  }),
)
