import { readFileSync } from 'node:fs'
import { runStandalone } from '../../services/standalone/main.ts'

/**
 * Sluice on a machine whose wall clock is set by hand: TEST_CLOCK_FILE holds how many milliseconds it is ahead, and is
 * read at each look at the clock. The steady clock is left alone.
 */
const file = process.env['TEST_CLOCK_FILE'] ?? ''
const now = Date.now
Date.now = () => now() + Number(readFileSync(file, 'utf8'))

process.exitCode = await runStandalone({ lan: false })
