/**
 * Usage in an SQLite file: written once per turn of the event loop, off the path of any request.
 */
import type { UsageBook, UsageRow } from '../contract/usage.ts'
import type { Sql } from './sql.ts'
import { createUsageSums, rowName } from './usage-sums.ts'

export interface SqliteUsage extends UsageBook {
  flush(): void
}

export function createSqliteUsage(sql: Sql): SqliteUsage {
  const waiting = createUsageSums()
  const add = sql.prepare(
    `INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (day, name) DO UPDATE SET
       requests = requests + excluded.requests, input_tokens = input_tokens + excluded.input_tokens,
       output_tokens = output_tokens + excluded.output_tokens, cost = cost + excluded.cost`,
  )
  const since = sql.prepare('SELECT * FROM usage WHERE day >= ?')
  let scheduled = false

  function flush(): void {
    scheduled = false
    const rows = waiting.drain()
    if (rows.length === 0) return
    try {
      sql.atomically(() => {
        for (const row of rows)
          add.run(row.day, rowName(row), row.requests, row.input_tokens, row.output_tokens, row.cost)
      })
    } catch {
      // Written with what comes next.
      waiting.add(rows)
    }
  }

  return {
    flush,
    add(rows) {
      waiting.add(rows)
      if (scheduled) return
      scheduled = true
      setImmediate(flush)
    },
    async since(day) {
      flush()
      return since.all(day).map(row => {
        const [, principal, team, model] = JSON.parse(String(row.name))
        return {
          day: String(row.day),
          principal,
          team,
          model,
          requests: Number(row.requests),
          input_tokens: Number(row.input_tokens),
          output_tokens: Number(row.output_tokens),
          cost: Number(row.cost),
        } satisfies UsageRow
      })
    },
  }
}
