CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, city TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers (id), total REAL, year INTEGER);
INSERT INTO customers VALUES (1, 'Ann', 'Oslo'), (2, 'Bob', 'Rome'), (3, 'Cleo', 'Oslo'), (4, 'Dan', 'Lima');
INSERT INTO orders VALUES (1, 1, 20.0, 2024), (2, 1, 35.5, 2025), (3, 2, 12.0, 2025), (4, 3, 80.0, 2025), (5, 3, 7.5, 2024);
