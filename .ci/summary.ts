import { readFileSync } from 'node:fs'

/** Sums vitest's JSON reports into the closing line. A skipped test fails the gate: here everything is installed. */
interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly numFailedTestSuites: number
}

const reports = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, 'utf8')) as Report)
const sum = (count: (report: Report) => number) => reports.reduce((total, report) => total + count(report), 0)

const passed = sum((report) => report.numPassedTests)
// A file that cannot even be loaded has no tests to fail.
const failed = sum((report) => Math.max(report.numFailedTests, report.numFailedTestSuites > 0 ? 1 : 0))
const skipped = sum((report) => report.numPendingTests + report.numTodoTests)

if (skipped > 0) process.stdout.write(`${skipped} tests were skipped, and in the gate none may be.\n`)
process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`)
const isEmpty = reports.length === 0 || reports.some((report) => report.numPassedTests === 0)
if (isEmpty) process.stdout.write('A suite of which nothing ran proves nothing.\n')
process.exitCode = failed > 0 || skipped > 0 || isEmpty ? 1 : 0
