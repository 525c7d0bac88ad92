import { runStoringLate } from '../e2e/backup/storing-late.ts'

process.exitCode = await runStoringLate(({ snapshots }) => snapshots)
