import { readFileSync } from 'node:fs'

/**
 * Sums vitest's JSON reports into the closing line, behind the tests that failed: of a long log often only the end is
 * kept. A skipped test fails the gate: here everything is installed.
 */
interface Report {
  readonly testResults: readonly File[]
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly numFailedTestSuites: number
}

interface File {
  readonly name: string
  readonly message: string
  readonly assertionResults: readonly Test[]
}

interface Test {
  readonly status: string
  readonly fullName: string
  readonly failureMessages: readonly string[] | null
}

/** More than a screen of failures has one cause, and the first of them tell it. */
const SHOWN_FAILURES = 20
const SHOWN_CHARACTERS = 2_000

const reports = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, 'utf8')) as Report)
const sum = (count: (report: Report) => number) => reports.reduce((total, report) => total + count(report), 0)

const passed = sum((report) => report.numPassedTests)
// A file that cannot even be loaded has no tests to fail.
const failed = sum((report) => Math.max(report.numFailedTests, report.numFailedTestSuites > 0 ? 1 : 0))
const skipped = sum((report) => report.numPendingTests + report.numTodoTests)

const failures = reports
  .flatMap((report) => report.testResults)
  .flatMap((file) => [
    ...(file.message === '' ? [] : [`${file.name}\n${file.message}`]),
    ...file.assertionResults
      .filter((test) => test.status === 'failed')
      .map((test) => `${file.name}\n${test.fullName}\n${(test.failureMessages ?? []).join('\n')}`),
  ])
for (const failure of failures.slice(0, SHOWN_FAILURES)) {
  process.stdout.write(`\nFAILED ${failure.slice(0, SHOWN_CHARACTERS)}\n`)
}
if (failures.length > SHOWN_FAILURES) process.stdout.write(`and ${failures.length - SHOWN_FAILURES} more\n`)

if (skipped > 0) process.stdout.write(`${skipped} tests were skipped, and in the gate none may be.\n`)
process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`)
const isEmpty = reports.length === 0 || reports.some((report) => report.numPassedTests === 0)
if (isEmpty) process.stdout.write('A suite of which nothing ran proves nothing.\n')
process.exitCode = failed > 0 || skipped > 0 || isEmpty ? 1 : 0
