import { defineConfig } from 'vitest/config'

// `npm run test:faults`: what takes long, or shows only in some of its runs and is repeated until it does.
export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 1_800_000,
    hookTimeout: 1_800_000,
    setupFiles: ['test/setup.ts'],
    include: ['test/**/*.faults.test.ts', 'test/e2e/cluster/*.cluster.test.ts'],
    // The same scenarios as in the cluster's suite, with more seeds, more messages and longer outages.
    env: { SLUICE_FAULTS: 'full' },
  },
})
