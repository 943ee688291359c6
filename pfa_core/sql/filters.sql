-- Filters that look beside the record.

-- name: topmost_among
-- The modification on top of an overlay row is one of these. They are hashed once, since IS TRUE keeps them from
-- becoming a join: a planner that expects one row of each compared all overlays with all modifications.
({table}.modification_id IN (
      SELECT m.modification_id
      FROM pfa_modification AS m
      WHERE m.organization_id = %(organization_id)s
        AND m.user_id = %(user_id)s
        AND {which})) IS TRUE
