-- Users and organizations belong to the platform. Minimal tables of the same form are created where
-- they are missing, as in a standalone installation. An existing table is used wherever the search
-- path finds it, and is never changed.

-- Returns the only column of a table's primary key; NULL where the key is not one UUID.
CREATE FUNCTION export_uuid_key(of_table REGCLASS) RETURNS NAME LANGUAGE sql STABLE AS $$
    SELECT min(attname)::name FROM pg_index
    JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
    WHERE indrelid = of_table AND indisprimary
    HAVING count(*) = 1 AND bool_and(atttypid = 'uuid'::regtype)
$$;

DO $$
DECLARE
    hidden NAME;
BEGIN
    -- The search path leaves out schemas that the role may not use, and what is in them.
    SELECT nspname INTO hidden
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relname IN ('users', 'organizations')
      AND nspname = ANY (string_to_array(replace(current_setting('search_path'), ' ', ''), ','))
      AND NOT has_schema_privilege(nspname, 'USAGE');
    IF hidden IS NOT NULL THEN
        RAISE EXCEPTION 'the schema % has tables of the platform that this role may not use: GRANT USAGE ON SCHEMA % TO %',
            hidden, hidden, current_user;
    END IF;

    IF to_regclass('organizations') IS NULL THEN
        CREATE TABLE organizations (
            organization_id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
            name            TEXT NOT NULL,
            created_at      TIMESTAMPTZ NOT NULL DEFAULT now()
        );
    ELSIF export_uuid_key('organizations') IS DISTINCT FROM 'organization_id' THEN
        RAISE EXCEPTION 'the primary key of the table % is not the UUID column organization_id',
            'organizations'::regclass;
    END IF;

    IF to_regclass('users') IS NULL THEN
        CREATE TABLE users (
            user_id         UUID PRIMARY KEY DEFAULT gen_random_uuid(),
            organization_id UUID NOT NULL REFERENCES organizations (organization_id),
            email           TEXT NOT NULL,
            is_active       BOOLEAN NOT NULL DEFAULT true,
            created_at      TIMESTAMPTZ NOT NULL DEFAULT now()
        );
    ELSIF export_uuid_key('users') IS NULL THEN
        RAISE EXCEPTION 'the primary key of the table % is not a single UUID column', 'users'::regclass;
    END IF;
END
$$;

-- Creates the view export_recipients (user_id, email, active) where it is missing: the only thing that
-- the service reads of users. It is made of the columns that users has: the primary key, email,
-- deleted_at, is_active and "isActive". Operators may put a view of their own in its place.
CREATE FUNCTION export_create_recipients() RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    email  TEXT;
    active TEXT;
BEGIN
    IF to_regclass('export_recipients') IS NOT NULL THEN
        RETURN;
    END IF;
    SELECT format('%I::text', attname) INTO email
    FROM pg_attribute
    WHERE attrelid = 'users'::regclass AND attname = 'email' AND NOT attisdropped;

    SELECT string_agg(
        CASE attname WHEN 'deleted_at' THEN 'deleted_at IS NULL'
                     ELSE format('COALESCE(%I, true)', attname) END, ' AND ')
    INTO active
    FROM pg_attribute
    WHERE attrelid = 'users'::regclass AND NOT attisdropped
      AND (attname = 'deleted_at'
           OR (attname IN ('is_active', 'isActive') AND atttypid = 'boolean'::regtype));

    EXECUTE format(
        'CREATE VIEW export_recipients AS SELECT %I AS user_id, %s AS email, %s AS active FROM %s',
        export_uuid_key('users'), COALESCE(email, 'NULL::text'), COALESCE(active, 'true'),
        'users'::regclass);
END
$$;

SELECT export_create_recipients();
