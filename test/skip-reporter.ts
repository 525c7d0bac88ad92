import type { Reporter, TestModule } from 'vitest/node'

/** A run narrowed by name skips nearly everything: that is not worth a list. */
const MOST = 30

/** Names what was skipped, after the summary: the names say what would enable it. */
export default class SkipReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = modules.flatMap((module) => [...module.children.allTests('skipped')])
    if (skipped.length === 0 || skipped.length > MOST) return
    const lines = skipped.map((test) => `  ${test.module.relativeModuleId}: ${test.fullName}`)
    process.stdout.write(`\nSkipped, because something is missing on this machine:\n${lines.join('\n')}\n\n`)
  }
}
