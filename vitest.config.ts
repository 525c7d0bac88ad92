import { availableParallelism } from 'node:os'
import { configDefaults, defineConfig } from 'vitest/config'
import './test/compile-cache.ts'
import LongestFirst from './test/longest-first.ts'
import { PATIENCE } from './test/patience.ts'

const common = {
  pool: 'forks' as const,
  // Vitest leaves a processor free, which of two is half the machine; and half of a test's time is waiting.
  maxWorkers: availableParallelism() + 2,
  // Ends what hangs, and measures nothing: a busy machine takes its time.
  testTimeout: 300_000,
  hookTimeout: 300_000,
  expect: { poll: PATIENCE },
  setupFiles: ['test/setup.ts'],
  // Those need servers: `npm run test:cluster` and `npm run test:faults`.
  exclude: [...configDefaults.exclude, '**/*.cluster.test.ts', '**/*.faults.test.ts'],
}

// Three groups, one after the other: what is not measured, many files at a time; the end-to-end tests, which start whole
// servers, three at a time; and alone those whose measurements of memory and time a neighbour would falsify.
const alone = ['test/e2e/log-outage.test.ts']

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    reporters: ['default', './test/skip-reporter.ts'],
    projects: [
      {
        test: {
          ...common,
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/*.test.ts'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'contract',
          include: ['test/contract/**/*.test.ts'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: [...common.exclude, ...alone],
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...common,
          name: 'alone',
          include: alone,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
